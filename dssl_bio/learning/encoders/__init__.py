"""Networks that turn a molecule or a phenotype into a vector."""
