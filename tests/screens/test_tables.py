import gzip

import numpy as np
import pandas as pd
import pytest

from dssl_bio.errors import ManifestError
from dssl_bio.screens import tables
from dssl_bio.screens.tables import columns_of, read_numbers, read_text_columns


def numbers(path, columns):
    return np.concatenate(list(read_numbers(path, columns)))


def test_keys_survive_as_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('plate,well,x\n00123,A1,1\n1e5," B2",2\n,"a,b",\n')
    table = read_text_columns(path, ["well", "plate"])
    assert table.columns.tolist() == ["well", "plate"]
    assert table["plate"].fillna("-").tolist() == ["00123", "1e5", "-"]
    assert table["well"].tolist() == ["A1", " B2", "a,b"]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path, name):
    path, content = tmp_path / name, "\ufeffplate,x\n1,2\n".encode()
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert columns_of(path) == ["plate", "x"]
    assert read_text_columns(path, ["plate"])["plate"].tolist() == ["1"]
    assert numbers(path, ["x"]).tolist() == [[2.0]]


def test_a_cell_that_is_no_number_is_missing_and_the_rest_is_read_once(tmp_path, monkeypatch):
    values = pd.DataFrame({"a": np.arange(500.0), "b": -np.arange(500.0)})
    text = values.astype("str")
    text.loc[400, "b"] = "n.d."
    text.loc[3, "a"] = None
    text.loc[5, "a"] = "1e400"
    text.to_csv(tmp_path / "a.csv", index=False)
    expected = values.to_numpy().copy()
    expected[400, 1] = expected[3, 0] = expected[5, 0] = np.nan
    for block in (500, 1_000_000):
        monkeypatch.setattr(tables, "BLOCK_BYTES", block)
        np.testing.assert_array_equal(numbers(tmp_path / "a.csv", ["a", "b"]), expected)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("a.xlsx", b"x", "expected a name that ends with .csv"),
    ("a.csv", b"", "cannot be read"),
    ("a.csv", b"x,x\n1,2\n", "more than one column named x"),
    ("a.parquet", b"PAR1", "cannot be read"),
    ("a.csv.gz", b"not gzip", "cannot be read"),
])
def test_says_why_a_table_cannot_be_read(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ManifestError, match=message):
        columns_of(tmp_path / name)


def test_a_truncated_archive_is_an_error(tmp_path):
    path = tmp_path / "a.csv.gz"
    table = pd.DataFrame({"x": np.random.default_rng(0).normal(size=5000)})
    content = gzip.compress(table.to_csv(index=False).encode())
    path.write_bytes(content[:len(content) // 2])
    with pytest.raises(ManifestError, match="cannot be read"):
        numbers(path, ["x"])


def test_size_is_checked_first(tmp_path):
    (tmp_path / "a.csv").write_text("x\n" * 100)
    with pytest.raises(ManifestError, match="has 200 bytes; at most 150"):
        columns_of(tmp_path / "a.csv", max_bytes=150)
