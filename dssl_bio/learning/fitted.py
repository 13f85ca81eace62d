"""What of a model is fitted in closed form: kernels, scalers, the ridge member (on images, after step 1)."""

from dataclasses import replace

import numpy as np
import torch

from dssl_bio.learning.data import Pairs
from dssl_bio.learning.disentangled import DisentangledModel
from dssl_bio.learning.encoders.encoder import Encoder, Members
from dssl_bio.learning.encoders.molecule_dose import DoseTrunk
from dssl_bio.learning.encoders.molecule_hybrid import HybridTrunk
from dssl_bio.learning.encoders.molecule_kernels import KernelsTrunk
from dssl_bio.learning.encoders.phenotype_mlp import MlpTrunk
from dssl_bio.learning.inputs import MoleculeInputs
from dssl_bio.learning.material import Material
from dssl_bio.learning.model import kernels_of, ridge_scaler_of, scalers_of
from dssl_bio.learning.phenotypes import ProfilePhenotypes, mean_by_entry
from dssl_bio.learning.ridge import fit_ridge, fit_ridge_to_codes


def fit_to_training_rows(model: DisentangledModel, material: Material) -> None:
    """Kernels and scalers see training molecules, training wells and untreated wells only."""
    config, pairs = material.config, material.pairs
    fingerprints = pairs.inputs.fingerprints
    first: torch.nn.Module | None = None
    for kernel in kernels_of(model):
        assert fingerprints is not None
        if first is None:
            chosen = np.random.default_rng(config.seed).permutation(len(fingerprints))[: material.facts.n_landmarks]
            kernel.fit(fingerprints[np.sort(chosen)], config.kernel.whitening)
            first = kernel
        else:  # the specific encoder's kernels are the shared one's
            kernel.load_state_dict(first.state_dict())
    if isinstance(pairs.phenotypes, ProfilePhenotypes):
        profiles = pairs.phenotypes.read(pairs.rows)
        pairs.phenotypes.spread = profiles.std(0)
        options = config.profile
        controls = pairs.phenotypes.read(material.controls) if options.sphere else None
        own = ridge_scaler_of(model)
        of_ridge = (_or(options.ridge_whitening, options.whitening),
                    _or(options.ridge_max_correlation, options.max_correlation))
        for scaler in [*scalers_of(model), *([own] if own is not None else [])]:
            whitening, correlation = of_ridge if scaler is own else (options.whitening, options.max_correlation)
            scaler.fit(profiles, whitening, robust=options.scaling == "robust", max_correlation=correlation,
                       controls=controls, shrinkage=options.sphere_shrinkage)
        if config.ridge > 0:
            _fit_ridge_to_profiles(model, pairs, profiles)


def with_fixed_features(model: DisentangledModel, material: Material) -> Material:
    """Several kernels' features of all molecules, computed once: they are fitted and nothing changes them after."""
    kernels = [kernel for kernel in kernels_of(model) if isinstance(kernel, KernelsTrunk)]
    if not kernels:
        return material

    def fixed(inputs: MoleculeInputs) -> MoleculeInputs:
        assert inputs.fingerprints is not None
        with torch.no_grad():
            return replace(inputs, fingerprints=kernels[0].features(inputs.fingerprints))

    validation = material.validation
    if validation is not None:
        validation = replace(validation, molecules=fixed(validation.molecules))
    return replace(material, pairs=replace(material.pairs, inputs=fixed(material.pairs.inputs)), validation=validation)


def fit_ridge_after_step_1(model: DisentangledModel, pairs: Pairs) -> None:
    """On images: ridge from the kernel's features to the mean code of each training molecule's tiles.

    Nothing happens on profiles, whose ridge member is fitted before, or without a ridge member. The model is left in
    evaluation mode; the result is the same at every call, so that a training which was stopped in step 2 goes on with
    the same numbers.
    """
    molecule, phenotype = model.shared_encoders
    if not (isinstance(molecule, Encoder) and isinstance(phenotype, Encoder)):
        return
    members = phenotype.head[-1]
    if not isinstance(members, Members) or not members.ridge_of_codes:
        return
    model.eval()
    device = next(model.parameters()).device
    width = len(members.anchor)
    codes = mean_by_entry(pairs.phenotypes, pairs.rows, pairs.molecule,
                          lambda tiles: phenotype.head(phenotype.trunk(tiles.to(device)))[:, :width])
    with torch.no_grad():
        features = molecule.trunk(pairs.inputs.batch(range(len(pairs.inputs))).to(device)).cpu()
    only = torch.zeros(features.shape[1])
    only[kernel_columns(molecule.trunk)] = 1.0
    fit_ridge_to_codes(molecule, phenotype, features * only, codes)


def kernel_columns(trunk: torch.nn.Module) -> slice:
    """Which features of a molecule's trunk are the kernel's: those that a ridge on few molecules can use."""
    if isinstance(trunk, DoseTrunk):
        inner = kernel_columns(trunk.trunk)
        return slice(inner.start or 0, int(trunk.trunk.out_features))  # type: ignore[arg-type]
    return slice(trunk.gnn.out_features if isinstance(trunk, HybridTrunk) else 0, int(trunk.out_features))  # type: ignore[arg-type]


def _fit_ridge_to_profiles(model: DisentangledModel, pairs: Pairs, profiles: torch.Tensor) -> None:
    """Kernel ridge from the features of the training molecules to the mean of each one's wells."""
    model.eval()
    molecule, phenotype = model.shared_encoders
    assert isinstance(molecule, Encoder) and isinstance(phenotype, Encoder) and isinstance(phenotype.trunk, MlpTrunk)
    owner = torch.from_numpy(pairs.molecule)
    mean = torch.zeros(len(pairs.inputs), profiles.shape[1]).index_add_(0, owner, profiles)
    mean /= torch.bincount(owner, minlength=len(mean))[:, None]
    scaler = ridge_scaler_of(model) or phenotype.trunk.scaler
    with torch.no_grad():
        features = molecule.trunk(pairs.inputs.batch(range(len(pairs.inputs))))
        fit_ridge(molecule, phenotype, features, scaler(mean))
    model.train()


def _or(own: float | None, other: float) -> float:
    return other if own is None else own
