import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import mean_poisson_deviance

from dssl_bio.chem.fingerprints import count_morgan
from dssl_bio.chem.standardize import standardize
from dssl_bio.config import with_overrides
from dssl_bio.errors import RunError
from dssl_bio.learning.encoders.molecule_gnn import GineTrunk
from dssl_bio.learning.fit import train
from dssl_bio.learning.model import MOLECULE
from dssl_bio.learning.pretraining import PretrainConfig, _deviance, pretrain
from dssl_bio.learning.run import Run
from dssl_bio.learning.start import start_from
from tests.evaluation.profile_screen import ACIDS, AMINES
from tests.retrieval.small_bundle import small_config, small_run, small_screen

SMALL = with_overrides(PretrainConfig(), ["gine.hidden=16", "gine.layers=2", "epochs=30", "batch_size=16",
                                          "learning_rate=0.01", "valid=0.2"])
GNN = {"molecule_encoder": "gine", "gine": {"hidden": 16, "layers": 2}}


@pytest.fixture(scope="module")
def molecules():
    return [standardize(f"O=C({acid}){amine}") for acid in ACIDS.values() for amine in AMINES]


@pytest.fixture(scope="module")
def pretrained(molecules, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained") / "run"
    return folder, pretrain(molecules, SMALL, folder, source="amides.smi", report=lambda line: None)


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return small_screen(tmp_path_factory.mktemp("screen"))


def gnns(model):
    """The GNN of the shared and of the specific molecule encoder."""
    return [next(part for part in encoders[MOLECULE].modules() if isinstance(part, GineTrunk))
            for encoders in (model.shared_encoders, model.specific_encoders)]


def test_the_deviance_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    counts, rates = rng.poisson(1.0, 200).astype(np.float32), rng.uniform(0.1, 3, 200).astype(np.float32)
    found = _deviance(torch.from_numpy(rates).log(), torch.from_numpy(counts)).mean()
    assert float(found) == pytest.approx(mean_poisson_deviance(counts, rates), rel=1e-5)


def test_molecules_that_were_kept_aside_are_told_from_their_graph(pretrained):
    """0 is the best answer without looking at the molecule; memory alone would leave it below that."""
    _, metrics = pretrained
    assert metrics["valid_molecules"] == 16
    assert metrics["deviance_explained"] > 0.3 and metrics["descriptor_r2"] > 0.3


def test_the_run_says_what_it_is_and_is_no_model(pretrained):
    folder, _ = pretrained
    record = json.loads((folder / "run.json").read_text())
    assert record["pretrained"] and record["made_by"]["command"] == "dssl-bio pretrain"
    assert record["made_from"] == {"molecules": "amides.smi"}
    with pytest.raises(RunError, match="pre-trained GNN and no model yet; .*train SCREEN --start"):
        Run.open(folder)


def test_equal_seeds_give_equal_weights(molecules, pretrained, tmp_path):
    folder, _ = pretrained
    pretrain(molecules, SMALL, tmp_path / "again", source="amides.smi", report=lambda line: None)
    one, two = (load_file(path / "model.safetensors") for path in (folder, tmp_path / "again"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_training_starts_from_the_gnn_and_keeps_it_where_asked(pretrained, screen, tmp_path):
    folder, _ = pretrained
    weights = load_file(folder / "model.safetensors")
    lines = []
    for name, freeze in (("free", False), ("kept", True)):
        config = small_config(**{**GNN, "gine": {**GNN["gine"], "freeze": freeze}}, start=str(folder))
        train(screen, config, tmp_path / name, report=lines.append)
        run = Run.open(tmp_path / name)
        for gnn in gnns(run.model):
            same = [torch.equal(value, weights[key]) for key, value in gnn.named_parameters()]
            assert all(same) if freeze else not any(same)
        assert run.record["made_from"]["start"] and run.config.start == str(folder)
    assert any("GNN (shared), GNN (specific) from" in line for line in lines)


def test_a_whole_model_can_be_started_from(screen, tmp_path):
    first = small_run(screen, tmp_path / "first", **GNN)
    second = small_run(screen, tmp_path / "other", **GNN, seed=5)
    assert not torch.equal(gnns(first.model)[0].atoms.weight, gnns(second.model)[0].atoms.weight)
    words = start_from(second.model, tmp_path / "first")
    assert "GNN (shared)" in words
    for one, two in zip(gnns(first.model), gnns(second.model), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_another_size_is_refused_and_another_encoder_is_told(pretrained, screen, tmp_path):
    folder, _ = pretrained
    with pytest.raises(RunError, match="other sizes .*gine.hidden and gine.layers"):
        small_run(screen, tmp_path / "run", **{**GNN, "gine": {"hidden": 24, "layers": 2}}, start=str(folder))
    lines = []
    train(screen, small_config(start=str(folder)), tmp_path / "kernel", report=lines.append)
    assert any("holds GNN, which the chosen encoders do not read" in line for line in lines)
    with pytest.raises(RunError, match="has no run.json|does not exist"):
        small_run(screen, tmp_path / "none", **GNN, start=str(tmp_path / "nothing"))


def test_too_few_molecules_are_refused(molecules, tmp_path):
    with pytest.raises(RunError, match="20 molecules to pre-train on; at least 50"):
        pretrain(molecules[:20], SMALL, tmp_path / "run", source="few", report=lambda line: None)
    assert count_morgan(molecules[0]).sum() > 0 and not list(tmp_path.iterdir())
