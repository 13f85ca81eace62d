import math

import pytest
import torch

from dssl_bio.learning.losses.critics import PairCritic, nce_bound, nce_club


def gaussian_scores(rho, n=1500, seed=0):
    """Log density ratio log p(y|x) / p(y) of all pairs of correlated unit Gaussians: the optimal critic."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    y = rho * x + math.sqrt(1 - rho**2) * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    own = (y.T - rho * x).square() / (2 * (1 - rho**2))
    return y.T.square() / 2 - own - math.log(1 - rho**2) / 2


def test_critic_is_one_hidden_layer_on_the_concatenation():
    torch.manual_seed(0)
    critic = PairCritic(3, 2, hidden=7)
    x, y = torch.randn(5, 3), torch.randn(5, 2)
    first = torch.cat([critic.of_x.weight, critic.of_y.weight], dim=1)
    with torch.no_grad():
        scores = critic(x, y)
        for i in range(5):
            for j in range(5):
                hidden = torch.relu(first @ torch.cat([x[i], y[j]]) + critic.of_x.bias)
                assert float(scores[i, j]) == pytest.approx(float(critic.out(hidden)), abs=1e-5)


def test_bounds_are_their_formulas_in_loops():
    scores = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lower = sum(float(scores[i, i]) - math.log(sum(math.exp(float(s)) for s in scores[i])) for i in range(6)) / 6
    assert float(nce_bound(scores)) == pytest.approx(lower + math.log(6), rel=1e-9)
    pairs, everything = scores.diagonal().tolist(), scores.flatten().tolist()
    assert float(nce_club(scores)) == pytest.approx(sum(pairs) / 6 - sum(everything) / 36, rel=1e-9)


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.8])
def test_with_the_optimal_critic_they_enclose_the_information_of_gaussians(rho):
    information = -0.5 * math.log(1 - rho**2)
    scores = gaussian_scores(rho)
    assert float(nce_bound(scores)) == pytest.approx(information, abs=0.06)  # tight far below log N
    # Closed form for the density ratio as critic: rho^2 / (1 - rho^2).
    assert float(nce_club(scores)) == pytest.approx(rho**2 / (1 - rho**2), rel=0.12)
    assert float(nce_club(scores)) > information


def test_a_critic_that_knows_nothing_gives_zero_and_none_exceeds_the_logarithm_of_n():
    assert float(nce_bound(torch.ones(8, 8))) == pytest.approx(0, abs=1e-6)
    assert float(nce_club(torch.ones(8, 8))) == pytest.approx(0, abs=1e-6)
    assert float(nce_bound(1e4 * torch.eye(8))) == pytest.approx(math.log(8), abs=1e-6)
