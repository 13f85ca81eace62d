"""What a representation knows: linear probes, cross-validated over molecules, beside what chance gives."""

import warnings

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import balanced_accuracy_score, r2_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Floats = NDArray[np.floating]

FOLDS = 5
MIN_ROWS = 25
MIN_PER_CLASS = 5
MAX_CLASSES = 50


def probe(representation: Floats, factor: "pd.Series[object]",
          groups: NDArray[np.str_]) -> dict[str, float | str] | None:
    """How much of one factor a linear probe reads from a representation.

    A number is read by ridge regression and scored by R2 (negative values are 0: nothing is known); a category
    by logistic regression and scored by (balanced accuracy - chance) / (1 - chance), chance being that of the most
    frequent class. Both are 0 for nothing and 1 for everything. Rows of one group stay in one fold.

    Args:
        representation: (N, D).
        factor: (N,) numbers or categories; missing values are left out, as are classes of fewer than 5 rows.
        groups: (N,) molecule of each row.

    Returns:
        kind, score, n (rows used), n_classes; None where there is too little to cross-validate or nothing varies.
    """
    kept = factor.notna().to_numpy()
    numeric = pd.api.types.is_numeric_dtype(factor) and not pd.api.types.is_bool_dtype(factor)
    if not numeric:
        counts = factor.astype(str)[kept].value_counts()
        kept = kept & factor.astype(str).isin(counts.index[counts >= MIN_PER_CLASS]).to_numpy()
    x, y, molecules = representation[kept], factor[kept], groups[kept]
    n_groups, n_values = len(np.unique(molecules)), y.nunique()
    if len(y) < MIN_ROWS or n_groups < FOLDS or n_values < 2 or (not numeric and n_values > MAX_CLASSES):
        return None
    folds = GroupKFold(FOLDS)
    if numeric:
        values = y.to_numpy(float)
        model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 8)))
        predicted = cross_val_predict(model, x, values, groups=molecules, cv=folds)
        return {"kind": "number", "score": max(0.0, float(r2_score(values, predicted))), "n": len(y), "n_classes": 0}
    labels = y.astype(str).to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500, class_weight="balanced"))
    scores = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for estimator in (model, DummyClassifier(strategy="most_frequent")):
            predicted = cross_val_predict(estimator, x, labels, groups=molecules, cv=folds)
            scores.append(float(balanced_accuracy_score(labels, predicted)))
    reached, chance = scores[0], max(scores[1], 1 / n_values)
    score = max(0.0, (reached - chance) / (1 - chance))
    return {"kind": "category", "score": score, "n": len(y), "n_classes": n_values}


def probe_all(representations: dict[str, Floats], factors: pd.DataFrame, groups: NDArray[np.str_]) -> pd.DataFrame:
    """Probes of every factor from every representation; rows of all of them match.

    Returns:
        factor, representation, kind, score, n, n_classes; pairs that cannot be probed are absent.
    """
    rows = []
    for name in factors:
        for which, representation in representations.items():
            result = probe(representation, factors[name], groups)
            if result is not None:
                rows.append({"factor": name, "representation": which, **result})
    return pd.DataFrame(rows, columns=["factor", "representation", "kind", "score", "n", "n_classes"])
