import numpy as np
import torch
from sklearn.linear_model import LinearRegression

from dssl_bio.learning.encoders.encoder import Encoder
from dssl_bio.learning.fit import train
from dssl_bio.learning.run import Run
from tests.retrieval.small_bundle import small_config, small_screen


class Plain(torch.nn.Module):
    out_features = 6

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(4, 6)
        self.norm = torch.nn.BatchNorm1d(6, affine=False)

    def forward(self, x):
        return self.norm(self.linear(x))


def test_what_the_shared_code_tells_is_not_in_what_the_head_reads():
    torch.manual_seed(0)
    encoder = Encoder(Plain(), 3, 8, condition_dim=2, residual=True)
    condition = torch.randn(400, 2)
    features = torch.cat([condition @ torch.randn(2, 4), torch.randn(400, 2)], dim=1) + 5
    encoder.fit_residual(features, condition, ridge=0.0)
    rest = (features - encoder.centre - (condition - encoder.condition_centre) @ encoder.explained).numpy()
    expected = features.numpy() - LinearRegression().fit(condition, features).predict(condition)
    np.testing.assert_allclose(rest, expected, atol=1e-4)
    assert rest[:, :4].std() < 1e-4 < 0.9 < rest[:, 4:].std()


def test_the_trunk_is_the_shared_one_and_stays_as_it_was_fitted(tmp_path):
    screen = small_screen(tmp_path)
    train(screen, small_config(specific_input="residual"), tmp_path / "run", report=lambda line: None)
    run = Run.open(tmp_path / "run")
    for shared, specific in zip(run.model.shared_encoders, run.model.specific_encoders, strict=True):
        assert specific.explained.abs().sum() > 0
        for name, value in shared.trunk.state_dict().items():
            torch.testing.assert_close(specific.trunk.state_dict()[name], value)
        assert not any(parameter.requires_grad for parameter in specific.trunk.parameters())
        assert not specific.train().trunk.training
