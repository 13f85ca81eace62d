import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dssl_bio.errors import ConfigError
from dssl_bio.screens.expressions import as_text, parse

TABLE = pd.DataFrame({
    "plate": pd.Series(["00123", "123", "A", None], dtype="str"),
    "dose": [1.0, 10.0, np.nan, 0.1],
    "text_dose": pd.Series(["1", "10.0", None, "0.1"], dtype="str"),
    "toxic": [True, False, True, False],
    "odd name": ["x", "y", "x", "y"],
})


@pytest.mark.parametrize(("text", "expected"), [
    ('plate == "00123"', [1, 0, 0, 0]),
    ("plate == '123'", [0, 1, 0, 0]),
    ("plate == 123", [1, 1, 0, 0]),
    ('plate != "A"', [1, 1, 0, 1]),
    ('not plate == "A"', [1, 1, 0, 1]),
    ("dose >= 1", [1, 1, 0, 0]),
    ("dose < 1e1 and dose > 0.5", [1, 0, 0, 0]),
    ("text_dose == 10", [0, 1, 0, 0]),
    ('dose == "10"', [0, 1, 0, 0]),
    ("dose in [0.1, 1]", [1, 0, 0, 1]),
    ('plate not in ("A", "123")', [1, 0, 0, 1]),
    ("toxic == true", [1, 0, 1, 0]),
    ("toxic == false or dose == 1", [1, 1, 0, 1]),
    ("`odd name` == 'x'", [1, 0, 1, 0]),
    ('dose == 1 or dose == 10 and plate == "A"', [1, 0, 0, 0]),
    ('(dose == 1 or dose == 10) and plate == "A"', [0, 0, 0, 0]),
    ("not (dose == 1 or not dose == 10)", [0, 1, 0, 0]),
])
def test_selects_the_rows_it_says(text, expected):
    assert parse(text).mask(TABLE).tolist() == [bool(x) for x in expected]


@pytest.mark.parametrize(("text", "message"), [
    ("", "character 1: expected a column name"),
    ("dose", "expected one of =="),
    ("dose = 1", "cannot be read"),
    ("dose == ", "expected a number"),
    ("dose == plate", "quoted text"),
    ("(dose == 1", r"expected `\)`"),
    ("dose == 1 dose == 2", "expected `and`, `or` or the end"),
    ("dose in 1", "expected a list"),
    ("dose in []", "expected a number"),
    ("1 == dose", "expected a column name"),
    ("__import__('os')", "expected one of"),
    ("dose == 1; import os", "cannot be read"),
    ("not " * 60 + "dose == 1", "levels of nesting"),
    ("dose == 1 or " * 2000 + "dose == 1", "characters"),
])
def test_says_where_a_text_is_wrong(text, message):
    with pytest.raises(ConfigError, match=message):
        parse(text)


def test_names_the_nearest_column_and_those_that_exist():
    with pytest.raises(ConfigError, match="no column 'plat'; did you mean 'plate'. Known columns: plate, dose"):
        parse("plat == 1").mask(TABLE)


def test_refuses_to_compare_text_with_a_number():
    table = pd.DataFrame({"compound": ["DMSO", "aspirin"]})
    with pytest.raises(ConfigError, match="holds text such as 'DMSO'"):
        parse("compound > 3").mask(table)


def test_knows_its_columns():
    assert parse("a == 1 and not (b in [1] or `c d` < 2)").columns() == {"a", "b", "c d"}


names = st.sampled_from(["plate", "dose", "text_dose"])
literals = st.sampled_from(["1", "10", "0.1", '"A"', '"123"', '"1"'])
comparisons = st.tuples(names, st.sampled_from(["==", "!="]), literals).map(" ".join)
expressions = st.recursive(comparisons, lambda inner: st.one_of(
    inner.map(lambda a: f"not ({a})"), st.tuples(inner, inner).map(lambda p: f"({p[0]}) and ({p[1]})"),
    st.tuples(inner, inner).map(lambda p: f"({p[0]}) or ({p[1]})")), max_leaves=6)


@given(expressions, expressions)
def test_obeys_de_morgan(a, b):
    left = parse(f"not (({a}) and ({b}))").mask(TABLE)
    assert (left == parse(f"not ({a}) or not ({b})").mask(TABLE)).all()
    assert (parse(f"not not ({a})").mask(TABLE) == parse(a).mask(TABLE)).all()


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused_with_a_sentence(text):
    try:
        parse(text)
    except ConfigError as problem:
        assert "expression" in str(problem)


def test_whole_numbers_are_written_without_a_point():
    assert as_text(pd.Series([1.0, 2.5, np.nan])).fillna("-").tolist() == ["1", "2.5", "-"]
