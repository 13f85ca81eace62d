"""Ranks of everything a benchmark placed: one row a question, with its method, fold and seed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.errors import EvaluationError
from dssl_bio.evaluation.baselines import Standardised, nearest_training_similarity
from dssl_bio.evaluation.benchmark import ENSEMBLE, BenchmarkOptions, Placed, division_of
from dssl_bio.evaluation.ceiling import replicate_ceiling
from dssl_bio.evaluation.division import Division
from dssl_bio.evaluation.folds import FOLD
from dssl_bio.evaluation.heldout import WHOLE, mechanism_table, ranks_table
from dssl_bio.evaluation.methods import retrievals
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import MOLECULE_ID

REPLICATES = "replicates"
SEED, TANIMOTO = "seed", "tanimoto"


def drawn_setting(n: int) -> str:
    """Name of the setting with n wrong entries drawn for every query."""
    return f"1:{n} drawn from the held-out library"


def rank_tables(screen: Screen, folds: pd.DataFrame, placed: Sequence[Placed], options: BenchmarkOptions,
                folder: Path, progress: Callable[[int, int], None] | None = None,
                ) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Ranks and mechanism precision of every placed method, and the replicate ceiling of every fold.

    Returns:
        ranks (see `ranks_table`) and mechanisms (see `mechanism_table`), each with `seed`; ranks with `tanimoto` to the
        nearest training molecule of the fold; and facts in words.
    """
    ranks: list[pd.DataFrame] = []
    mechanisms: list[pd.DataFrame] = []
    numbers = sorted(folds[FOLD].unique())
    how = ""
    for done, fold in enumerate(numbers, start=1):
        division = division_of(screen, folds, int(fold), options, folder)
        near = nearest_training_similarity(division)
        for one in placed:
            if one.fold != fold:
                continue
            asked = retrievals(one.method, one.vectors, division, options.directions)
            for question in asked:
                table = ranks_table(question).assign(seed=one.seed)
                ranks.append(table.assign(tanimoto=table[MOLECULE_ID].map(near)))
                mechanisms.append(mechanism_table(question).assign(seed=one.seed))
        ceiling, words = _ceiling(division)
        how = how or words
        if len(ceiling):
            ranks.append(ceiling.assign(seed="", tanimoto=ceiling[MOLECULE_ID].map(near)))
        if progress is not None:
            progress(done, len(numbers))
    table = pd.concat([part for part in ranks if len(part)], ignore_index=True)
    if options.one_in:
        table = pd.concat([table, drawn_ranks(table, options.one_in)], ignore_index=True)
    named = [part for part in mechanisms if MOLECULE_ID in part]
    return table, pd.concat(named, ignore_index=True) if named else pd.DataFrame(), {"replicate_ceiling": how}


def drawn_ranks(ranks: pd.DataFrame, n: int, seed: int = 0) -> pd.DataFrame:
    """Ranks among the best right entry and n wrong entries drawn without repetition from the held-out library.

    Of the wrong entries, rank - 1 are ahead of the best right one; how many of them are drawn is hypergeometric, so
    the draw needs ranks only. Queries with fewer than n wrong entries are not asked.

    Raises:
        EvaluationError: n is not positive.
    """
    if n < 1:
        raise EvaluationError(f"--one-in {n}: at least one wrong entry must be drawn")
    whole = ranks[(ranks["setting"] == WHOLE) & (ranks["n_entries"] - ranks["n_right"] >= n)]
    ahead = whole["rank"].to_numpy() - 1
    wrong = (whole["n_entries"] - whole["n_right"]).to_numpy()
    drawn: NDArray[np.int64] = np.random.default_rng(seed).hypergeometric(ahead, wrong - ahead, n)
    return whole.assign(setting=drawn_setting(n), rank=1 + drawn, n_entries=n + 1, n_right=1)


def labelled(ranks: pd.DataFrame) -> pd.DataFrame:
    """The table with ensembles as methods of their own: `dssl` and `dssl, ensemble of 3`."""
    seeds = ranks.loc[ranks[SEED] != ENSEMBLE].groupby("method")[SEED].nunique()
    names = {name: f"{name}, ensemble of {n}" for name, n in seeds.items()}
    ensemble = (ranks[SEED] == ENSEMBLE).to_numpy()
    method = ranks["method"].where(~ensemble, ranks["method"].map(names))
    return ranks.assign(method=method, of=ranks["method"])


def _ceiling(division: Division) -> tuple[pd.DataFrame, str]:
    scale = Standardised(division.known_profiles, division.known_gallery_profiles)
    return replicate_ceiling(division, scale.training(division.profiles), scale.gallery(division.entry_profiles),
                             REPLICATES)
