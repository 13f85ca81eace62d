"""Terms of the objectives: tensors in, scalar out, nothing of ours imported."""
