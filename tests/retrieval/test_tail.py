import numpy as np
import pytest
from scipy import stats

from dssl_bio.retrieval.significance import Null
from dssl_bio.retrieval.tail import fit_tail

DRAWS = 100_000


def cosines(n, dim, generator):
    """Cosine of random directions: (1 + cos) / 2 is Beta((dim - 1) / 2, (dim - 1) / 2), which has an end at 1."""
    return 2 * generator.beta((dim - 1) / 2, (dim - 1) / 2, n) - 1


@pytest.mark.parametrize(("draw", "law"), [
    (lambda n, g: g.normal(size=n), stats.norm()),
    (lambda n, g: cosines(n, 32, g), stats.beta(15.5, 15.5, loc=-1, scale=2)),
    (lambda n, g: g.exponential(size=n), stats.expon()),
])
def test_far_p_values_err_on_the_side_of_the_null_on_laws_that_are_known(draw, law):
    """At a true p of 1e-4 to 1e-6, 60 nulls: hardly ever half the truth, and the right order of magnitude or two."""
    found = {p: [] for p in (1e-4, 1e-5, 1e-6)}
    for seed in range(60):
        tail = fit_tail(np.sort(draw(DRAWS, np.random.default_rng(seed)).astype(np.float32)))
        assert tail is not None
        for p, values in found.items():
            values.append(float(tail.p_values(np.array([law.isf(p)]))[0]) / p)
    for p, ratios in found.items():
        assert np.quantile(ratios, 0.05) > 0.4, p
        assert np.median(ratios) < 60, p


def test_p_of_the_tail_is_uniform_on_new_draws():
    """Of draws that were not fitted, those beyond the threshold have p uniform on (0, share)."""
    rng = np.random.default_rng(1)
    tail = fit_tail(np.sort(rng.exponential(size=DRAWS)))
    new = rng.exponential(size=200_000)
    p = tail.p_values(new[new >= tail.threshold]) / tail.share
    assert len(p) > 1_500 and stats.kstest(p, "uniform").pvalue > 0.01


def test_the_fit_falls_with_the_score_and_stops_at_its_floor():
    tail = fit_tail(np.sort(np.random.default_rng(0).normal(size=DRAWS)))
    p = tail.p_values(np.linspace(0, 50, 200))
    assert p[0] == 1 and (np.diff(p) <= 0).all() and p[-1] == tail.smallest > 0


def test_few_draws_and_draws_that_do_not_fit_have_no_tail():
    rng = np.random.default_rng(0)
    assert fit_tail(np.sort(rng.normal(size=10_000))) is None
    two_lumps = np.concatenate([rng.normal(size=DRAWS), rng.normal(40, 0.1, 500)])
    assert fit_tail(np.sort(two_lumps)) is None
    assert fit_tail(np.zeros(DRAWS)) is None


def test_a_null_gives_the_fitted_p_where_no_draw_reaches():
    scores = np.sort(np.random.default_rng(0).normal(size=DRAWS)).astype(np.float32)
    null = Null("test", scores)
    assert null.fitted_p(8.0) < null.resolution == null.p_values(np.array([8.0]))[0]
    assert null.fitted_p(float(scores[-1])) <= null.resolution
    assert Null("few", scores[:2000]).fitted_p(8.0) is None
