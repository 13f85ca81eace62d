"""What untreated wells tell of their plates is taken out of the shared phenotype codes, in closed form after step 1.

As nuisance attribute projection does for speakers and channels (Solomonoff, Campbell and Boardman, ICASSP 2005), with
directions of a discriminant analysis in place of plain differences of means: where wells of one plate scatter much,
little is taken.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from dssl_bio.learning.data import Pairs
from dssl_bio.learning.disentangled import DisentangledModel
from dssl_bio.learning.encoders.encoder import MAX_NUISANCE, Encoder
from dssl_bio.learning.model import PHENOTYPE
from dssl_bio.learning.phenotypes import mean_by_entry

SHRINKAGE = 0.1
"""Of the covariance within plates, in units of its mean variance."""
LEAST_F = 2.0
"""Variance of the plates' means, in units of what chance gives, below which a direction is left."""
MIN_CONTROLS = 4
"""Untreated wells of a plate that counts."""


def plate_directions(codes: Tensor, plates: NDArray[np.int64], most: int = MAX_NUISANCE) -> Tensor:
    """Orthonormal directions (D, k) in which untreated wells tell plates apart more than wells of one plate differ.

    Args:
        codes: (N, D) of untreated wells.
        plates: (N,) number of each one's plate.
        most: directions at most.

    Returns:
        k columns, at most one fewer than plates of `MIN_CONTROLS` wells; none for fewer than two such plates.
    """
    counted = [number for number in np.unique(plates) if (plates == number).sum() >= MIN_CONTROLS]
    groups = [codes[torch.from_numpy(plates == number)].double() for number in counted]
    if len(groups) < 2:
        return torch.zeros(codes.shape[1], 0)
    means = torch.stack([group.mean(0) for group in groups])
    rest = torch.cat([group - group.mean(0) for group in groups])
    within = rest.T @ rest / max(1, len(rest) - len(groups))
    within += SHRINKAGE * within.diagonal().mean().clamp_min(1e-12) * torch.eye(len(within), dtype=within.dtype)
    values, vectors = torch.linalg.eigh(within)
    whitening = vectors / values.sqrt() @ vectors.T
    size = len(rest) / len(groups)
    _, spread, axes = torch.linalg.svd((means - means.mean(0)) @ whitening, full_matrices=False)
    f = spread.square() / (len(groups) - 1) * size
    k = min(most, len(groups) - 1, int((f > LEAST_F).sum()))
    return torch.linalg.qr(whitening @ axes[:k].T)[0].to(codes.dtype)


def fit_plate_projection(model: DisentangledModel, pairs: Pairs, controls: NDArray[np.int64],
                         plates: NDArray[np.int64]) -> int:
    """Takes the directions of `plate_directions` out of the shared phenotype encoder's codes, in place.

    The same at every call after step 1, so that a training which was stopped in step 2 goes on with the same numbers.

    Args:
        model: after step 1; left in evaluation mode.
        pairs: where phenotypes come from.
        controls: rows of untreated wells.
        plates: number of each one's plate.

    Returns:
        how many directions were taken out.
    """
    encoder = model.shared_encoders[PHENOTYPE]
    assert isinstance(encoder, Encoder)
    model.eval()
    encoder.nuisance.zero_()
    if not len(controls):
        return 0
    device = encoder.nuisance.device
    mean = mean_by_entry(pairs.phenotypes, controls, np.arange(len(controls)),
                         lambda inputs: normalize(encoder(inputs.to(device)), dim=1)).float()
    directions = plate_directions(mean, plates)
    encoder.nuisance[:, :directions.shape[1]] = directions
    encoder.nuisance_centre.copy_(mean.mean(0))
    return directions.shape[1]
