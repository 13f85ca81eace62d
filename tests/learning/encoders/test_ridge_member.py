import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from torch import nn
from torch.nn import functional as F

from dssl_bio.config import checked
from dssl_bio.errors import DsslBioError, RunError
from dssl_bio.learning.choice import choose
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.encoders.encoder import Encoder, Members
from dssl_bio.learning.fit import train
from dssl_bio.learning.fitted import fit_to_training_rows, kernel_columns
from dssl_bio.learning.material import prepare
from dssl_bio.learning.model import ScreenFacts, build_model, ridge_scaler_of, scalers_of
from dssl_bio.learning.ridge import RIDGES, fit_ridge, fit_ridge_to_codes
from dssl_bio.learning.run import Run


class Plain(nn.Module):
    def __init__(self, out_features):
        super().__init__()
        self.out_features = out_features

    def forward(self, inputs):
        return inputs


def encoders(ridge=0.5, members=2):
    return (Encoder(Plain(12), 5 * (members + 1), 8, members=members, ridge=ridge).eval(),
            Encoder(Plain(7), 5 * (members + 1), 8, members=members, ridge=ridge).eval())


def fitted():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 12, generator=generator)
    y = x @ torch.randn(12, 7, generator=generator) + 2 * torch.randn(40, 7, generator=generator)
    pair = encoders()
    return x, y, pair, fit_ridge(*pair, x, y)


def test_the_ridge_member_is_kernel_ridge_of_the_leading_components():
    x, y, (molecule, phenotype), ridge = fitted()
    model = KernelRidge(alpha=ridge * float(x.square().sum(1).mean())).fit(x.numpy(), y[:, :5].numpy())
    predicted = F.normalize(torch.tensor(model.predict(x.numpy())).float(), dim=1)
    own, measured = molecule(x)[:, -5:], phenotype(y)[:, -5:]
    assert torch.allclose(F.normalize(own, dim=1), predicted, atol=1e-4)
    assert torch.allclose(F.normalize(measured, dim=1), F.normalize(y[:, :5], dim=1), atol=1e-5)


def test_the_ridge_is_the_one_whose_left_out_predictions_are_nearest():
    """Against fitting 40 models with one molecule left out each."""
    x, y, _, chosen = fitted()
    scale = float(x.square().sum(1).mean())
    scores = {}
    for ridge in RIDGES:
        found = []
        for i in range(len(x)):
            rest = [j for j in range(len(x)) if j != i]
            model = KernelRidge(alpha=ridge * scale).fit(x[rest].numpy(), y[rest, :5].numpy())
            found.append(F.cosine_similarity(torch.tensor(model.predict(x[i:i + 1].numpy())), y[i:i + 1, :5]).item())
        scores[ridge] = sum(found) / len(found)
    assert chosen == max(scores, key=scores.get)


def test_the_cosine_weighs_the_ridge_member_as_the_configuration_says():
    torch.manual_seed(0)
    head = Members(6, 8, 15, 2, 0.0, ridge=0.5)
    head.anchor.normal_()
    a, b = head(torch.randn(5, 6)), head(torch.randn(5, 6))
    each = [F.cosine_similarity(x, y, dim=1) for x, y in zip(a.chunk(3, 1), b.chunk(3, 1), strict=True)]
    expected = ((each[0] + each[1]) / 2 + 0.5 * each[2]) / 1.5
    assert torch.allclose(F.cosine_similarity(a, b, dim=1), expected, atol=1e-5)


def test_step_1_trains_the_learned_members_alone():
    config = TrainConfig.model_validate({"molecule_encoder": "kernels", "members": 2, "ridge": 0.5, "shared_dim": 15,
                                         "shared": {"posterior": "none"}, "profile": {"layers": 0}})
    model = build_model(config, ScreenFacts("profile", 4, 3, 2, ("a", "b")))
    model.shared_encoders = nn.ModuleList(encoders())
    inputs = torch.randn(6, 12), torch.randn(6, 7)
    before = model.eval().step_1(*inputs).total
    for encoder in model.shared_encoders:
        encoder.head[-1].anchor.normal_()
    assert torch.equal(model.step_1(*inputs).total, before)
    assert not any("anchor" in name for name, _ in model.named_parameters())


def test_a_ridge_member_of_its_own_reads_features_that_do_not_repeat_each_other(amides_screen):
    """Against kernel ridge of scikit-learn to components that are computed here."""
    profile = {"layers": 0, "ridge_max_correlation": 0.6, "ridge_whitening": 1.0}
    config = TrainConfig.model_validate({"molecule_encoder": "kernels", "members": 2, "ridge": 0.5, "shared_dim": 15,
                                         "kernel": {"whitening": 0.0}, "profile": profile})
    material = prepare(amides_screen, config)
    model = build_model(config, material.facts)
    fit_to_training_rows(model, material)
    pairs = material.pairs
    x = pairs.phenotypes.read(pairs.rows).double().numpy()
    z = (x - x.mean(0)) / x.std(0)
    correlation = np.abs(np.corrcoef(z.T))
    kept = []
    for number in correlation.sum(0).argsort(kind="stable"):
        if not kept or correlation[number, kept].max() <= 0.6:
            kept.append(number)
    assert 5 <= len(kept) < z.shape[1]
    _, _, directions = np.linalg.svd(z[:, kept], full_matrices=False)
    scores = z[:, kept] @ directions[:5].T
    expected = scores / scores.std(0)  # whitening 1
    profiles = pairs.phenotypes.read(pairs.rows)
    assert material.facts.n_ridge_components == 5 and len(scalers_of(model)) == 2
    with torch.no_grad():
        measured = model.eval().shared_encoders[1](profiles)[:, -5:].numpy()
        told = model.shared_encoders[0](pairs.inputs.batch(pairs.molecule.tolist()))[:, -5:].numpy()
        features = model.shared_encoders[0].trunk(pairs.inputs.batch(range(len(pairs.inputs)))).double().numpy()
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    own = measured / np.linalg.norm(measured, axis=1, keepdims=True)
    assert np.allclose(np.abs((own * np.sign((own * unit).sum(0))).T @ unit), np.abs(unit.T @ unit), atol=1e-3)
    mean = np.stack([expected[pairs.molecule == number].mean(0) for number in range(len(pairs.inputs))])
    scale = (features**2).sum(1).mean()
    found = {ridge: KernelRidge(alpha=ridge * scale).fit(features, mean).predict(features)[pairs.molecule]
             for ridge in RIDGES}
    cosines = {ridge: np.abs(np.sum(told * np.sign((own * unit).sum(0)) * y, axis=1)
                             / np.linalg.norm(told, axis=1) / np.linalg.norm(y, axis=1)) for ridge, y in found.items()}
    assert max(value.min() for value in cosines.values()) > 0.999


def test_a_run_with_a_ridge_member_of_its_own_is_read_again(amides_screen, tmp_path):
    settings = {"molecule_encoder": "kernels", "members": 2, "ridge": 0.5, "shared_dim": 15,
                "profile": {"layers": 0, "ridge_max_correlation": 0.9},
                "step_1": {"epochs": 1, "keep": "last"}, "step_2": {"epochs": 1}}
    train(amides_screen, TrainConfig.model_validate(settings), tmp_path / "run", report=lambda line: None)
    run = Run.open(tmp_path / "run")
    wells = run.embed_wells(run.phenotypes(amides_screen), np.arange(4))
    assert wells.shared.shape == (4, 15) and ridge_scaler_of(run.model).components.abs().sum() > 0


def test_a_ridge_member_needs_a_kernel_and_no_bags():
    config = TrainConfig.model_validate({"molecule_encoder": "gine", "ridge": 0.5, "shared_dim": 128})
    with pytest.raises(RunError, match="needs molecule_encoder kernel or kernels on profile"):
        build_model(config, ScreenFacts("profile", 4, 3, 2, ("a", "b")))
    bags = TrainConfig.model_validate({"molecule_encoder": "hybrid", "ridge": 0.5, "image": {"bag_tiles": 4}})
    with pytest.raises(RunError, match="image.bag_tiles 1; here they are hybrid and 4"):
        build_model(bags, ScreenFacts("images", 4, 3, channels=("DNA",)))
    chosen, _ = choose(TrainConfig.model_validate({"image": {"bag_tiles": 4}}), "images", None, print)
    build_model(chosen, ScreenFacts("images", 4, 3, channels=("DNA",)))
    with pytest.raises(DsslBioError, match="cannot be divided among 3 members"):
        checked({"members": 2, "ridge": 0.1, "shared_dim": 128}, TrainConfig, "test", DsslBioError)


def test_on_codes_the_ridge_member_is_kernel_ridge_to_their_half_whitened_components():
    """Against scikit-learn's PCA and kernel ridge; a column of zeros takes no part."""
    from sklearn.decomposition import PCA

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 12, generator=generator)
    x[:, 3] = 0
    molecule = Encoder(Plain(12), 15, 8, members=2, ridge=0.5).eval()
    phenotype = Encoder(Plain(7), 15, 8, members=2, ridge=0.5, ridge_of_codes=True).eval()
    with torch.no_grad():
        codes = phenotype(torch.randn(40, 7, generator=generator))[:, :10]
    assert not molecule(x)[:, 10:].any(), "an unfitted member says nothing"
    ridge = fit_ridge_to_codes(molecule, phenotype, x, codes)
    pca = PCA(5).fit(codes.numpy())
    target = pca.transform(codes.numpy()) / (pca.singular_values_ ** 0.5)
    model = KernelRidge(alpha=ridge * float(x.square().sum(1).mean())).fit(x.numpy(), target)
    predicted = F.normalize(torch.tensor(model.predict(x.numpy())).float(), dim=1)
    measured = F.normalize(torch.tensor(target).float(), dim=1)
    expected = predicted @ measured.T  # signs of components are free: what they say of pairs is not
    own = F.normalize(molecule(x)[:, 10:], dim=1)
    read = (codes - phenotype.head[-1].anchor_centre) @ phenotype.head[-1].anchor
    assert torch.allclose(own @ F.normalize(read, dim=1).T, expected, atol=1e-3)
    assert not molecule.head[-1].anchor[3].any()


@pytest.mark.parametrize("dose", [False, True])
@pytest.mark.parametrize("encoder", ["hybrid", "kernel"])
def test_the_ridge_reads_the_kernel_and_neither_graph_nor_dose(encoder, dose):
    config = checked({"molecule_encoder": encoder, "gine": {"hidden": 8}, "dose": dose}, TrainConfig, "test")
    facts = ScreenFacts("images", 10, 8, channels=("DNA",), doses_um=(1.0, 10.0) if dose else ())
    trunk = build_model(config, facts).shared_encoders[0].trunk
    columns = kernel_columns(trunk)
    start = (trunk.trunk if dose else trunk).gnn.out_features if encoder == "hybrid" else 0
    assert (columns.start, columns.stop) == (start, start + 8)
