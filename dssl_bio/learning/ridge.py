"""The ridge member of an ensemble: kernel ridge in the features of the trunks, fitted in closed form."""

import torch
from torch import Tensor, nn

from dssl_bio.learning.encoders.encoder import Encoder, Members

RIDGES = (0.1, 0.3, 1.0, 3.0)
"""In units of the mean squared length of the molecules' features."""


def fit_ridge(molecule: Encoder, phenotype: Encoder, features: Tensor, components: Tensor) -> float:
    """Sets the ridge members of a pair of shared encoders in place.

    The molecule's member predicts the leading profile components by ridge regression on the trunk's features, which
    for Nystroem features is kernel ridge; the phenotype's member is those components themselves. The ridge is chosen
    by leave-one-out over training molecules, in closed form: the cosine of prediction and measurement.

    Args:
        molecule: with a ridge member.
        phenotype: with a ridge member, whose trunk's first features, or whose own ones, are the profile's components.
        features: (M, molecule.trunk.out_features) of training molecules.
        components: (M, >= dim) of the mean profile of each.

    Returns:
        the ridge that was chosen.
    """
    own_anchor, other_anchor = _anchor(molecule), _anchor(phenotype)
    dim = min(own_anchor.shape[1], components.shape[1])
    target, x = components[:, :dim].double(), features.double()
    scale = x.square().sum(1).mean()
    values, vectors = torch.linalg.eigh(x @ x.T / scale)
    best, chosen = -torch.inf, RIDGES[0]
    for ridge in RIDGES:
        smoother = vectors * (values.clamp_min(0) / (values.clamp_min(0) + ridge)) @ vectors.T
        own = smoother.diagonal()[:, None]
        left_out = (smoother @ target - own * target) / (1 - own).clamp_min(1e-6)
        score = torch.nn.functional.cosine_similarity(left_out, target, dim=1).mean()
        if score > best:
            best, chosen = float(score), ridge
    dual = vectors / (values.clamp_min(0) + chosen) @ (vectors.T @ target) / scale
    own_anchor.zero_()
    own_anchor[:, :dim] = (x.T @ dual).float()
    other_anchor.zero_()
    other_anchor[:dim, :dim] = torch.eye(dim)
    return chosen


def _anchor(encoder: Encoder) -> Tensor:
    assert isinstance(encoder.head, nn.Sequential)
    members = encoder.head[-1]
    assert isinstance(members, Members)
    return members.anchor
