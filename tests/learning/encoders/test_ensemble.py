import pytest
import torch
from torch.nn import functional as F

from dssl_bio.chem.kernel_blocks import BITS, N_COUNT_BLOCKS
from dssl_bio.chem.standardize import standardize
from dssl_bio.config import checked
from dssl_bio.errors import DsslBioError
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.disentangled import shared_loss
from dssl_bio.learning.encoders.encoder import Members
from dssl_bio.learning.encoders.molecule_kernel import min_max_tanimoto
from dssl_bio.learning.encoders.molecule_kernels import N_KERNELS, KernelsTrunk
from dssl_bio.learning.inputs import MoleculeInputs
from dssl_bio.learning.model import ScreenFacts, build_model, kernels_of, scalers_of

SMILES = ("CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCN", "CCCCl", "C", "CN1C=NC2=C1C(=O)N(C(=O)N2C)C")


@pytest.fixture(scope="module")
def inputs():
    return MoleculeInputs.of([standardize(s) for s in SMILES], frozenset({"kernels"}))


def test_each_kernel_of_several_is_reproduced_up_to_one_scale(inputs):
    n = len(SMILES)
    trunk = KernelsTrunk(n, n).eval()
    trunk.fit(inputs.fingerprints)
    features = trunk(inputs.batch(range(n)))
    assert features.std() == pytest.approx(1, abs=1e-4)
    parts = features.chunk(N_KERNELS, dim=1)
    scale = (parts[0][0] @ parts[0][0]).item()
    for number in range(N_COUNT_BLOCKS):
        block = inputs.fingerprints[:, number * BITS:(number + 1) * BITS]
        kernel = min_max_tanimoto(block, block)
        present = block.sum(1) > 0
        gram = parts[number] @ parts[number].T / scale
        assert torch.allclose(gram[present][:, present], kernel[present][:, present], atol=2e-3)
    assert torch.allclose((parts[-1] @ parts[-1].T / scale).diag(), torch.ones(n), atol=2e-3)


def test_the_cosine_of_joined_members_is_the_mean_of_their_cosines():
    torch.manual_seed(0)
    head = Members(6, 8, 12, 3, 0.0)
    a, b = head(torch.randn(5, 6)), head(torch.randn(5, 6))
    each = [F.cosine_similarity(x, y, dim=1) for x, y in zip(a.chunk(3, 1), b.chunk(3, 1), strict=True)]
    assert torch.allclose(F.cosine_similarity(a, b, dim=1), torch.stack(each).mean(0), atol=1e-5)


def test_step_1_of_an_ensemble_is_the_mean_of_its_members_losses(inputs):
    config = TrainConfig.model_validate({"molecule_encoder": "kernels", "members": 4, "shared_dim": 16,
                                         "shared": {"posterior": "none"}, "profile": {"layers": 0}})
    model = build_model(config, ScreenFacts("profile", len(SMILES), 3, 2, ("a", "b", "c"))).eval()
    kernels_of(model)[0].fit(inputs.fingerprints)
    profiles = torch.randn(len(SMILES), 3)
    scalers_of(model)[0].fit(profiles)
    batch = inputs.batch(range(len(SMILES)))
    raw = [encoder(x) for encoder, x in zip(model.shared_encoders, (batch, profiles), strict=True)]
    pairs = zip(raw[0].chunk(4, 1), raw[1].chunk(4, 1), strict=True)
    losses = [shared_loss(a, b, config.shared).total for a, b in pairs]
    assert model.step_1(batch, profiles).total.item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


def test_members_must_divide_the_shared_dimension():
    with pytest.raises(DsslBioError, match="cannot be divided among 3 members"):
        checked({"members": 3, "shared_dim": 128}, TrainConfig, "test", DsslBioError)
