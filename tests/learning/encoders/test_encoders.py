import numpy as np
import pytest
import torch

from dssl_bio.chem.fingerprints import DESCRIPTORS, FINGERPRINT_BITS, count_morgan, descriptors
from dssl_bio.chem.scaffolds import murcko_scaffold
from dssl_bio.chem.standardize import standardize
from dssl_bio.learning.encoders.encoder import Encoder
from dssl_bio.learning.encoders.molecule_gnn import GineTrunk
from dssl_bio.learning.encoders.molecule_hybrid import HybridTrunk
from dssl_bio.learning.encoders.molecule_kernel import KernelTrunk, min_max_tanimoto
from dssl_bio.learning.encoders.phenotype_cnn import CnnTrunk
from dssl_bio.learning.encoders.phenotype_mlp import MlpTrunk, ProfileScaler
from dssl_bio.learning.inputs import MoleculeInputs

SMILES = ("CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCN", "CCCCl", "C", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C")
BOTH = frozenset({"graph", "fingerprint"})


@pytest.fixture(scope="module")
def inputs():
    return MoleculeInputs.of([standardize(s) for s in SMILES], BOTH)


def kernel_trunk(inputs):
    trunk = KernelTrunk(len(SMILES), 5, FINGERPRINT_BITS)
    trunk.fit(inputs.fingerprints)
    return trunk


def trunks(inputs):
    return {"gine": GineTrunk(16, 2), "kernel": kernel_trunk(inputs),
            "hybrid": HybridTrunk(GineTrunk(16, 2), kernel_trunk(inputs))}


@pytest.mark.parametrize("name", ["gine", "kernel", "hybrid"])
def test_a_molecule_trunk_is_independent_of_its_minibatch(inputs, name):
    torch.manual_seed(0)
    trunk = trunks(inputs)[name].eval()
    rows = list(range(len(SMILES)))
    together = trunk(inputs.batch(rows))
    assert together.shape == (len(SMILES), trunk.out_features)
    alone = torch.cat([trunk(inputs.batch([row])) for row in rows])
    assert torch.allclose(together, alone, atol=1e-4)
    assert trunk.needs <= BOTH


def test_gine_does_not_depend_on_the_order_of_atoms():
    torch.manual_seed(0)
    trunk = GineTrunk(16, 3).eval()
    spellings = ("CC(=O)Nc1ccc(O)cc1", "c1cc(O)ccc1NC(C)=O")  # paracetamol twice; standardised without reordering
    molecules = [standardize(s) for s in spellings]
    a, b = trunk(MoleculeInputs.of(molecules, frozenset({"graph"})).batch([0, 1]))
    assert torch.allclose(a, b, atol=1e-5)


def test_min_max_tanimoto_against_its_definition():
    generator = np.random.default_rng(0)
    a, b = generator.poisson(0.5, (5, 40)), generator.poisson(0.5, (4, 40))
    expected = [[np.minimum(x, y).sum() / np.maximum(x, y).sum() for y in b] for x in a]
    assert np.allclose(min_max_tanimoto(torch.tensor(a).float(), torch.tensor(b).float()), expected, atol=1e-6)


def test_unwhitened_kernel_features_reproduce_the_kernel(inputs):
    trunk = KernelTrunk(len(SMILES), len(SMILES), FINGERPRINT_BITS).eval()
    trunk.fit(inputs.fingerprints, whitening=0)
    features = trunk(inputs.batch(range(len(SMILES))))
    kernel = min_max_tanimoto(inputs.fingerprints, inputs.fingerprints)
    assert torch.allclose(features @ features.T, kernel, atol=1e-4)


def test_whitened_kernel_features_have_equal_second_moments(inputs):
    trunk = KernelTrunk(len(SMILES), 4, FINGERPRINT_BITS).eval()
    trunk.fit(inputs.fingerprints, whitening=1)
    features = trunk(inputs.batch(range(len(SMILES))))
    assert torch.allclose(features.T @ features / len(SMILES), torch.eye(4), atol=1e-3)


def test_a_molecule_without_bonds_and_one_with_are_both_encoded():
    inputs = MoleculeInputs.of([standardize("C"), standardize("CC")], frozenset({"graph"}))
    assert torch.isfinite(GineTrunk(8, 1).eval()(inputs.batch([0, 1]))).all()


def test_scaler_whitens_training_profiles_whose_mean_is_not_zero():
    torch.manual_seed(0)
    x = torch.randn(400, 6) @ torch.randn(6, 6) + 20
    scaler = ProfileScaler(6, 4)
    scaler.fit(x, whitening=1)
    z = scaler(x)
    covariance = torch.cov(z.T, correction=0)
    assert torch.allclose(z.mean(0), torch.zeros(4), atol=1e-3)
    assert torch.allclose(covariance / covariance[0, 0], torch.eye(4), atol=2e-2)


def test_scaler_ignores_a_constant_feature_and_bounds_an_outlier():
    x = torch.cat([torch.randn(50, 3), torch.full((50, 1), 7.0)], 1)
    scaler = ProfileScaler(4, 3)
    scaler.fit(x, whitening=0)
    wild = x[:1].clone()
    wild[0, 0] = 1e9
    assert torch.isfinite(scaler(wild)).all()
    assert scaler(wild).abs().max() < 20
    with pytest.raises(ValueError, match="3 components"):
        scaler.fit(x[:2])


def test_phenotype_trunks_shapes_and_independence_of_the_minibatch():
    torch.manual_seed(0)
    cnn = CnnTrunk(width=8, blocks=3).eval()
    tiles = torch.rand(3, 5, 48, 48)
    assert torch.allclose(cnn(tiles)[:1], cnn(tiles[:1]), atol=1e-4)
    assert cnn(tiles).shape == (3, cnn.out_features)
    assert cnn(torch.rand(1, 5, 33, 50)).shape == (1, cnn.out_features)
    scaler = ProfileScaler(10, 4)
    scaler.fit(torch.randn(30, 10))
    profile = MlpTrunk(scaler, hidden=8).eval()
    assert profile(torch.randn(3, 10)).shape == (3, profile.out_features)


def test_an_encoder_wants_its_condition_and_only_then(inputs):
    batch = inputs.batch([0, 1])
    plain, conditioned = Encoder(GineTrunk(8, 1), 4), Encoder(GineTrunk(8, 1), 4, condition_dim=3)
    assert plain(batch).shape == conditioned(batch, torch.zeros(2, 3)).shape == (2, 4)
    with pytest.raises(ValueError, match="condition"):
        plain(batch, torch.zeros(2, 3))
    with pytest.raises(ValueError, match="condition"):
        conditioned(batch)


def test_descriptors_of_aspirin():
    names = dict(zip(DESCRIPTORS,
                     descriptors(standardize("CC(=O)Oc1ccccc1C(=O)O")), strict=True))
    assert names["molecular weight"] == pytest.approx(180.042, abs=0.01)
    assert names["hydrogen-bond donors"] == 1
    assert names["aromatic rings"] == 1
    assert names["basic amines"] == 0
    assert descriptors(standardize("CN1CCN(C)CC1"))[10] == 2


def test_scaffold_ignores_decoration_and_stereochemistry():
    a, b = standardize("C[C@H](N)c1ccc(Cl)cc1"), standardize("c1ccccc1CC")
    assert murcko_scaffold(a) == murcko_scaffold(b) == "c1ccccc1"
    assert murcko_scaffold(standardize("CCO")) == "CCO"


def test_count_fingerprint_counts():
    assert count_morgan(standardize("CCCCCCCC")).max() > 1
