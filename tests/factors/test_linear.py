import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from dssl_bio.factors.linear import PENALTIES, GroupedRidge, auroc, grouped_folds, r_squared


@pytest.fixture
def data():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(200, 12)) * generator.uniform(0.1, 10, 12) + 3
    y = np.stack([x[:, 0] + generator.normal(size=200), generator.normal(size=200)], axis=1)
    return x, y, np.repeat(np.arange(50), 4).astype(str)


def test_a_fixed_penalty_gives_what_sklearn_gives(data):
    x, y, groups = data
    for penalty in (1.0, 100.0):
        mine = GroupedRidge(x, groups).predicted(y, np.full((5, 2), penalty))
        model = make_pipeline(StandardScaler(), Ridge(penalty))
        theirs = cross_val_predict(model, x, y, groups=groups, cv=GroupKFold(5))
        np.testing.assert_allclose(mine, theirs, atol=1e-3)


def test_the_penalty_is_chosen_on_the_other_folds_alone(data):
    x, y, groups = data
    fold = grouped_folds(groups)
    chosen = GroupedRidge(x, groups).chosen(y)
    for held_out in range(5):
        errors = np.zeros(len(PENALTIES))
        for inner in range(5):
            if inner == held_out:
                continue
            fitted, asked = (fold != held_out) & (fold != inner), fold == inner
            for number, penalty in enumerate(PENALTIES):
                model = make_pipeline(StandardScaler(), Ridge(penalty)).fit(x[fitted], y[fitted, 0])
                errors[number] += np.square(model.predict(x[asked]) - y[asked, 0]).sum()
        assert chosen[held_out, 0] == PENALTIES[int(errors.argmin())]


def test_a_group_never_straddles_folds(data):
    fold = grouped_folds(data[2])
    assert all(len(np.unique(fold[data[2] == group])) == 1 for group in np.unique(data[2]))


def test_scores_are_those_of_sklearn(data):
    x, y, groups = data
    ridge = GroupedRidge(x, groups)
    predicted = ridge.predicted(y, ridge.chosen(y))
    np.testing.assert_allclose(r_squared(y, predicted), r2_score(y, predicted, multioutput="raw_values"), atol=1e-5)
    positive = y > 0.3
    rounded = predicted.round(1)  # ties
    expected = [roc_auc_score(positive[:, i], rounded[:, i]) for i in range(2)]
    np.testing.assert_allclose(auroc(positive, rounded), expected)


def test_one_class_alone_has_no_area():
    assert np.isnan(auroc(np.ones((4, 1), dtype=bool), np.arange(4.0)[:, None]))[0]


def test_a_category_is_read_about_as_well_as_by_logistic_regression(data):
    x, _, groups = data
    labels = (x[:, 0] + x[:, 1] > np.median(x[:, 0] + x[:, 1])).astype(float)[:, None]
    ridge = GroupedRidge(x, groups)
    mine = auroc(labels > 0.5, ridge.predicted(labels, ridge.chosen(labels), intercept=False))[0]
    model = make_pipeline(StandardScaler(), LogisticRegression())
    theirs = roc_auc_score(labels[:, 0], cross_val_predict(model, x, labels[:, 0], groups=groups, cv=GroupKFold(5),
                                                           method="decision_function"))
    assert abs(mine - theirs) < 0.03


def test_a_constant_column_and_too_few_groups():
    x = np.ones((20, 3))
    x[:, 1] = np.arange(20)
    ridge = GroupedRidge(x, np.arange(20).astype(str))
    y = np.arange(20.0)[:, None]
    assert np.isfinite(ridge.predicted(y, ridge.chosen(y))).all()
    with pytest.raises(ValueError, match="5 folds need as many groups, got 2"):
        GroupedRidge(x, np.repeat(["a", "b"], 10))
