"""The factor matrix: how well a linear probe reads each known factor from each representation, beside chance."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.factors.linear import FOLDS, PENALTIES, GroupedRidge, auroc, r_squared

Floats = NDArray[np.floating]

MOLECULE_SHARED, MOLECULE_SPECIFIC = "molecule-shared", "molecule-specific"
PHENOTYPE_SHARED, PHENOTYPE_SPECIFIC = "phenotype-shared", "phenotype-specific"
MOLECULE_RAW, PHENOTYPE_RAW = "molecule-raw", "phenotype-raw"
REPRESENTATIONS = (MOLECULE_SHARED, MOLECULE_SPECIFIC, PHENOTYPE_SHARED, PHENOTYPE_SPECIFIC, MOLECULE_RAW,
                   PHENOTYPE_RAW)

MIN_ROWS, MIN_PER_CLASS, MAX_CLASSES, MIN_GROUPS = 25, 8, 60, 10
NUMBER, CATEGORY = "number", "category"
COLUMNS = ("factor", "family", "belongs", "representation", "kind", "metric", "score", "chance", "null_low",
           "null_high", "p", "above", "score_held_out", "n", "n_groups", "n_classes")


@dataclass(frozen=True)
class Known:
    """Factors that are known of some rows.

    Attributes:
        table: (N, F) numbers or texts; missing values are left out of their factor's probe.
        families: of each factor: what kind of thing it is, in words.
        belongs: of each factor: `molecule`, `phenotype` or `shared`, or empty where nothing is expected.
        groups: (N,) rows of one group never are in two folds (a molecule; a control well by itself).
        held_out: (N,) rows of molecules that the model has not learnt from.
    """

    table: pd.DataFrame
    families: Mapping[str, str]
    belongs: Mapping[str, str]
    groups: NDArray[np.str_]
    held_out: NDArray[np.bool_]


@dataclass(frozen=True)
class _Coded:
    """A factor as targets: one column for a number, one a class for a category."""

    name: str
    kind: str
    columns: NDArray[np.float32]
    by_group: bool


def factor_matrix(representations: Mapping[str, Floats], known: Known, *, permutations: int = 20,
                  seed: int = 0) -> pd.DataFrame:
    """Cross-validated ridge probes of every factor from every representation.

    Numbers are scored by R2 (chance 0; negative where a probe is worse than the mean), categories by the mean over
    classes of the area under the ROC curve of one class against the rest (chance 0.5). The interval of chance is that
    of factors permuted among rows, or among groups where all rows of a group agree.

    Args:
        representations: name -> (N, D); a row of NaN says that this representation does not exist for it.
        known: of the same N rows.
        permutations: draws of chance.
        seed: of the draws.

    Returns:
        COLUMNS; `above` is (score - chance) / (1 - chance), not below 0; factors that cannot be probed (fewer than 25
        rows or 10 groups, nothing that varies, more than 60 classes) are absent.
    """
    found = []
    for name, x in representations.items():
        if x.shape[1] == 0:
            continue
        exists = ~np.isnan(x).any(1)
        masks: dict[bytes, list[str]] = {}
        for factor in known.table:
            kept = exists & known.table[factor].notna().to_numpy()
            masks.setdefault(kept.tobytes(), []).append(str(factor))
        for mask, factors in masks.items():
            kept = np.frombuffer(mask, dtype=bool)
            found += _read(name, x[kept], known, kept, factors, permutations, seed)
    order = {str(factor): number for number, factor in enumerate(known.table)}
    table = pd.DataFrame(found, columns=list(COLUMNS))
    return table.sort_values("factor", key=lambda names: names.map(order), kind="stable").reset_index(drop=True)


def _read(name: str, x: Floats, known: Known, kept: NDArray[np.bool_], factors: list[str], permutations: int,
          seed: int) -> list[dict[str, object]]:
    """Rows of the matrix for factors that are known of the same rows."""
    groups, held_out = known.groups[kept], known.held_out[kept]
    if len(x) < MIN_ROWS or len(np.unique(groups)) < max(FOLDS, MIN_GROUPS):
        return []
    coded = [one for factor in factors if (one := _coded(factor, known.table[factor][kept], groups)) is not None]
    if not coded:
        return []
    ridge = GroupedRidge(x, groups)
    orders = _orders(groups, permutations, seed)
    rows: list[dict[str, object]] = []
    for kind in (NUMBER, CATEGORY):
        own = [one for one in coded if one.kind == kind]
        if not own:
            continue
        widths = np.cumsum([0, *(one.columns.shape[1] for one in own)])
        draws = np.zeros((permutations, len(own)))
        y = np.concatenate([one.columns for one in own], axis=1)
        penalties = ridge.chosen(y)
        predicted = ridge.predicted(y, penalties, intercept=kind == NUMBER)
        for draw in range(permutations):  # one draw at a time: all of them together would not fit in a small memory
            shuffled = np.concatenate([one.columns[orders[draw][int(one.by_group)]] for one in own], axis=1)
            # Chance gets the better of the factor's own penalty and of the strongest, which is best where nothing is
            # known; to choose among all of them anew would take twenty times as long.
            tried = [_scores(kind, shuffled, ridge.predicted(shuffled, one, intercept=kind == NUMBER))
                     for one in (penalties, np.full_like(penalties, PENALTIES[-1]))]
            means = [[np.nanmean(scores[a:b]) for a, b in zip(widths[:-1], widths[1:], strict=True)]
                     for scores in tried]
            draws[draw] = np.maximum(means[0], means[1])
        scores = _scores(kind, y, predicted)
        fresh = _scores(kind, y[held_out], predicted[held_out]) if held_out.sum() >= MIN_ROWS else None
        for number, (one, a, b) in enumerate(zip(own, widths[:-1], widths[1:], strict=True)):
            score = float(np.nanmean(scores[a:b]))
            chance = 0.0 if kind == NUMBER else 0.5
            low, high = np.quantile(draws[:, number], [0.025, 0.975]) if permutations else (np.nan, np.nan)
            rows.append({
                "factor": one.name, "family": known.families[one.name], "belongs": known.belongs.get(one.name, ""),
                "representation": name, "kind": kind, "metric": "R2" if kind == NUMBER else "AUROC", "score": score,
                "chance": chance, "null_low": float(low), "null_high": float(high),
                "p": (1 + int((draws[:, number] >= score).sum())) / (1 + permutations),
                "above": max(0.0, (score - chance) / (1 - chance)),
                "score_held_out": _mean(fresh[a:b]) if fresh is not None else np.nan, "n": len(x),
                "n_groups": len(np.unique(groups)), "n_classes": b - a if kind == CATEGORY else 0})
    return rows


def _mean(values: Floats) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _scores(kind: str, y: Floats, predicted: Floats) -> NDArray[np.float64]:
    return r_squared(y, predicted) if kind == NUMBER else auroc(y > 0.5, predicted)


def _coded(name: str, values: "pd.Series[object]", groups: NDArray[np.str_]) -> _Coded | None:
    """The factor's targets; None where there is nothing to probe. Classes of fewer than 8 rows are the rest."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numeric:
        y = values.to_numpy(float)
        if np.ptp(y) <= 1e-12 * max(1.0, np.abs(y).max()):
            return None
        columns = ((y - y.mean()) / y.std())[:, None]
    else:
        text = values.astype(str).to_numpy()
        counts = pd.Series(text).value_counts()
        groups_of = pd.Series(groups).groupby(text).nunique()
        classes = sorted(str(c) for c in counts.index[counts >= MIN_PER_CLASS] if groups_of[c] >= 2)
        if not classes or len(counts) < 2 or len(classes) > MAX_CLASSES:
            return None
        columns = text[:, None] == np.array(classes)[None, :]
        if len(classes) == 2 and len(counts) == 2:
            columns = columns[:, :1]  # the other column says the same
    agree = pd.Series(np.asarray(columns[:, 0], dtype=float)).groupby(groups).nunique().max() == 1
    by_group = bool(agree and len(np.unique(groups)) < len(columns))
    return _Coded(name, NUMBER if numeric else CATEGORY, columns.astype(np.float32), by_group)


def _orders(groups: NDArray[np.str_], permutations: int,
            seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """For each draw an order of the rows, and one that gives every row a row of the group drawn for its own."""
    generator = np.random.default_rng(seed)
    names, first, code = np.unique(groups, return_index=True, return_inverse=True)
    return [(generator.permutation(len(groups)), first[generator.permutation(len(names))][code])
            for _ in range(permutations)]


def disentanglement(matrix: pd.DataFrame, least: float = 0.1) -> pd.DataFrame:
    """For each factor with a place of its own: does the right representation know it, and the wrong one not?

    A factor of the molecule belongs in molecule-specific and not in molecule-shared; one of the phenotype likewise on
    its side; a shared factor in both shared representations and in no specific one.

    Args:
        matrix: from `factor_matrix`; a factor that was asked of entries and of wells (column `rows`) is told twice.
        least: factors of which the raw data of that side know less than this above chance are left out.

    Returns:
        factor, rows, family, belongs, metric, side, right, wrong (representations), score_right, score_wrong,
        above_right, above_wrong, above_raw, share_of_raw, leak (above_wrong / above_right), verdict.
    """
    rows = []
    asked = matrix if "rows" in matrix else matrix.assign(rows="")
    for (factor, which), own in asked[asked["belongs"] != ""].groupby(["factor", "rows"], sort=False):
        at = own.set_index("representation")
        belongs = str(own["belongs"].iloc[0])
        for side in ("molecule", "phenotype") if belongs == "shared" else (belongs,):
            shared, specific, raw = (f"{side}-{part}" for part in ("shared", "specific", "raw"))
            right, wrong = (shared, specific) if belongs == "shared" else (specific, shared)
            if right not in at.index or wrong not in at.index:
                continue
            above_raw = float(at["above"][raw]) if raw in at.index else float("nan")
            if above_raw < least and at["above"][right] < least and at["above"][wrong] < least:
                continue
            first, second = float(at["above"][right]), float(at["above"][wrong])
            rows.append({
                "factor": factor, "rows": which, "family": own["family"].iloc[0], "belongs": belongs, "side": side,
                "metric": own["metric"].iloc[0], "right": right, "wrong": wrong,
                "score_right": float(at["score"][right]), "score_wrong": float(at["score"][wrong]),
                "above_right": first, "above_wrong": second, "above_raw": above_raw,
                "share_of_raw": first / above_raw if above_raw >= least else float("nan"),
                "leak": second / first if first >= least else float("nan"),
                "verdict": _verdict(first, second, least)})
    names = ["factor", "rows", "family", "belongs", "side", "metric", "right", "wrong", "score_right", "score_wrong",
             "above_right", "above_wrong", "above_raw", "share_of_raw", "leak", "verdict"]
    return pd.DataFrame(rows, columns=names)


def _verdict(right: float, wrong: float, least: float) -> str:
    if right < least:
        return "in the wrong one" if wrong >= least else "in neither"
    return "disentangled" if wrong <= right / 3 else "in both" if wrong < right else "more in the wrong one"
