"""The ridge member of an ensemble: kernel ridge in the features of the trunks, fitted in closed form.

On profiles it predicts the profile's components, before anything is trained; on images, after step 1, what the learned
members say of the pictures.
"""

import torch
from torch import Tensor, nn

from dssl_bio.learning.encoders.encoder import Encoder, Members

CODE_WHITENING = 0.5
"""Of the codes' principal components: divided by this power of their standard deviation."""

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
    own_anchor, other_anchor = _members(molecule).anchor, _members(phenotype).anchor
    dim = min(own_anchor.shape[1], components.shape[1])
    weights, chosen = _ridge(features.double(), components[:, :dim].double())
    own_anchor.zero_()
    own_anchor[:, :dim] = weights.float()
    other_anchor.zero_()
    other_anchor[:dim, :dim] = torch.eye(dim)
    return chosen


def fit_ridge_to_codes(molecule: Encoder, phenotype: Encoder, features: Tensor, codes: Tensor) -> float:
    """Sets the ridge members in place where the phenotype's reads the learned members' codes.

    The target are the principal components of the molecules' mean codes, half whitened.

    Args:
        molecule: with a ridge member.
        phenotype: with one of `ridge_of_codes`.
        features: (M, molecule.trunk.out_features) of training molecules; columns of zeros take no part.
        codes: (M, width) the learned members' codes, mean of each molecule's inputs.

    Returns:
        the ridge that was chosen.
    """
    own, other = _members(molecule), _members(phenotype)
    centre = codes.double().mean(0)
    _, spread, axes = torch.linalg.svd(codes.double() - centre, full_matrices=False)
    dim = min(own.anchor.shape[1], int((spread > 1e-6 * spread[0]).sum()))
    turn = axes[:dim].T / spread[:dim] ** CODE_WHITENING
    weights, chosen = _ridge(features.double(), (codes.double() - centre) @ turn)
    own.anchor.zero_()
    own.anchor[:, :dim] = weights.float()
    other.anchor.zero_()
    other.anchor[:, :dim] = turn.float()
    other.anchor_centre.copy_(centre.float())
    return chosen


def _ridge(x: Tensor, target: Tensor) -> tuple[Tensor, float]:
    """Weights (width, dim) of the ridge regression of a target on features, with the ridge chosen by leave-one-out."""
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
    return x.T @ dual, chosen


def _members(encoder: Encoder) -> Members:
    assert isinstance(encoder.head, nn.Sequential)
    members = encoder.head[-1]
    assert isinstance(members, Members)
    return members
