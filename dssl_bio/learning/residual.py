"""Specific encoders that read what the shared code leaves unexplained: fitted in closed form between the two steps."""

import torch

from dssl_bio.learning.data import PairLoader, Pairs
from dssl_bio.learning.disentangled import DisentangledModel
from dssl_bio.learning.encoders.encoder import Encoder
from dssl_bio.learning.model import MOLECULE, PHENOTYPE


def fit_residuals(model: DisentangledModel, pairs: Pairs, batch_size: int, seed: int, ridge: float = 0.01) -> None:
    """Gives specific encoders the shared encoders' trunks, and fits what their shared codes explain of the features.

    The rows are one epoch of training minibatches as step 2 sees them, in evaluation mode; the same at every call, so
    that a training which was stopped in step 2 goes on with the same numbers.

    Args:
        model: after step 1; its specific encoders were built with `residual`.
        pairs: training wells.
        batch_size: of step 2.
        seed: of the minibatches.
        ridge: see `Encoder.fit_residual`.

    Raises:
        ValueError: a specific encoder has no residual to fit.
    """
    model.eval()
    device = next(model.parameters()).device
    features: dict[int, list[torch.Tensor]] = {MOLECULE: [], PHENOTYPE: []}
    codes: dict[int, list[torch.Tensor]] = {MOLECULE: [], PHENOTYPE: []}
    with torch.no_grad():
        for batch in PairLoader(pairs, batch_size, 2, seed):
            moved = batch.to(device)
            for modality, views in ((MOLECULE, moved.molecules), (PHENOTYPE, moved.phenotypes)):
                for view in views:
                    features[modality].append(model.shared_encoders[modality].trunk(view).float())  # type: ignore[operator]
                    codes[modality].append(model.shared(modality, view))
        for modality, (shared, specific) in enumerate(zip(model.shared_encoders, model.specific_encoders, strict=True)):
            if not isinstance(specific, Encoder) or not specific.residual:
                raise ValueError("the specific encoder was not built to read a residual")
            specific.trunk.load_state_dict(shared.trunk.state_dict())  # type: ignore[union-attr]
            specific.fit_residual(torch.cat(features[modality]), torch.cat(codes[modality]), ridge)
