import numpy as np
import pandas as pd
import pytest

from dssl_bio.evaluation.heldout import DIRECTIONS, WHOLE
from dssl_bio.evaluation.metrics import chance_summary
from dssl_bio.evaluation.page import Cell, Row, Section, Table, render_page
from dssl_bio.evaluation.plots import chance_curve, chance_of_fraction, recall_figure


def ranks(n=60, pool=20):
    generator = np.random.default_rng(0)
    return pd.DataFrame({"method": "ours", "direction": DIRECTIONS[0], "setting": WHOLE, "query": "q",
                         "rank": generator.integers(1, pool + 1, n), "n_entries": pool, "n_right": 1})


def test_the_chance_curve_is_exact_and_its_spread_that_of_random_orders():
    table = ranks()
    expected, spread = chance_curve(table, 10)
    assert expected[[0, 4, 9]] == pytest.approx([getattr(chance_summary([20], [1]), f"top_{k}") for k in (1, 5, 10)])
    generator = np.random.default_rng(1)
    drawn = (generator.integers(1, 21, (4000, 60)) <= 5).mean(1)
    assert spread[4] == pytest.approx(drawn.std(), rel=0.05)


def test_chance_of_a_fraction_is_the_diagonal_for_one_right_answer():
    grid = np.linspace(0, 1, 21)
    assert chance_of_fraction(ranks(), grid) == pytest.approx(grid, abs=0.051)


def test_the_recall_figure_draws_what_the_ranks_say():
    table = ranks()
    figure = recall_figure(table, {"ours": "ours"})
    (curve,) = [trace for trace in figure.data if trace.name == "ours"]
    assert curve.y[4] == pytest.approx(100 * (table["rank"] <= 5).mean())
    assert any("95 %" in trace.name for trace in figure.data)


def test_a_page_is_self_contained_escapes_text_and_says_simulated():
    table = Table(["a"], [Row([Cell("<b>x</b>")])])
    page = render_page("t", "s", True, [Section("<i>one</i>", tables=[table])], ["why"], [("seed", 0)])
    assert "Simulated screen" in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page and "<b>x</b>" not in page
    assert page.count("plotly.js v") == 1
    assert 'src="http' not in page
    assert "Simulated screen" not in render_page("t", "s", False, [], [], [])


def test_the_spread_of_chance_is_a_number_where_all_is_found():
    for pool in range(2, 40):
        assert np.isfinite(chance_curve(ranks(pool=pool).assign(n_right=pool // 2), 40)[1]).all()
