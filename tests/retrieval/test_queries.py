import gzip

import pandas as pd
import pytest
from rdkit import Chem

from dssl_bio.errors import QueryError
from dssl_bio.retrieval import queries as module
from dssl_bio.retrieval.queries import QueryFile, queries_of


def asked(path, column=None):
    """(shown, text that is standardised or None) of every query of a file."""
    return [(query.shown, query.question and query.question.text) for query in QueryFile.open(path, column)]


def sdf_of(*named):
    """An SDF of (title, SMILES)."""
    blocks = []
    for title, smiles in named:
        mol = Chem.MolFromSmiles(smiles)
        mol.SetProp("_Name", title)
        blocks.append(Chem.MolToMolBlock(mol) + "> <ID>\n7\n\n$$$$\n")
    return "".join(blocks)


def test_texts_of_the_command_line_are_asked_as_they_are():
    assert [(q.shown, q.question.text) for q in queries_of(["CCO", "x y"])] == [("CCO", "CCO"), ("x y", "x y")]


@pytest.mark.parametrize("header", ["smiles", "SMILES", " Smiles ", "Metadata_SMILES", "canonical_smiles", "structure"])
def test_the_column_of_the_smiles_is_found_by_its_name(tmp_path, header):
    (tmp_path / "q.csv").write_text(f"name,{header},note\nethanol,CCO,\nwater,O,x\n")
    assert asked(tmp_path / "q.csv") == [("CCO", "CCO"), ("O", "O")]


def test_empty_lines_are_no_queries_and_an_empty_cell_is_one_that_fails(tmp_path):
    (tmp_path / "q.csv").write_text("\ufeffid,smiles\n\n1,CCO\n   \n2,\n3,O\n\n\n", encoding="utf-8")
    assert asked(tmp_path / "q.csv") == [("CCO", "CCO"), ("", ""), ("O", "O")]


def test_a_column_that_no_name_betrays_must_be_named(tmp_path):
    (tmp_path / "q.csv").write_text("id,compound_structure\n1,CCO\n")
    with pytest.raises(QueryError, match="which column holds the SMILES.*--smiles-column; there are id, compound_str"):
        QueryFile.open(tmp_path / "q.csv")
    assert asked(tmp_path / "q.csv", "compound_structure") == [("CCO", "CCO")]
    with pytest.raises(QueryError, match="no columns named 'compound_structur'; did you mean 'compound_structure'"):
        QueryFile.open(tmp_path / "q.csv", "compound_structur")


def test_two_columns_of_one_name_are_refused(tmp_path):
    (tmp_path / "q.csv").write_text("smiles,smiles\nC,CC\n")
    with pytest.raises(QueryError, match="which column"):
        QueryFile.open(tmp_path / "q.csv")
    with pytest.raises(QueryError, match="2 columns named 'smiles'"):
        QueryFile.open(tmp_path / "q.csv", "smiles")


def test_the_only_column_is_taken_unless_it_begins_with_a_molecule(tmp_path):
    (tmp_path / "q.csv").write_text("ligand\nCCO\n")
    assert asked(tmp_path / "q.csv") == [("CCO", "CCO")]
    (tmp_path / "q.csv").write_text("CCO\nCCN\n")
    with pytest.raises(QueryError, match="its first line 'CCO' is a molecule where the header should be"):
        QueryFile.open(tmp_path / "q.csv")


def test_a_line_that_is_broken_costs_itself_only(tmp_path):
    (tmp_path / "q.csv").write_text('id,smiles\n1,"CCO\n2,CCN\n3,C,C\n4\n5,CCC\n')
    found = list(QueryFile.open(tmp_path / "q.csv"))
    assert [q.problem for q in found] == [
        "line 2: a quote is opened and not closed", "", "a line of 3 cells under a header of 2",
        "a line of 1 cells under a header of 2", ""]
    assert [q.question.text for q in found if q.question] == ["CCN", "CCC"]


def test_a_quoted_cell_may_hold_commas_quotes_and_line_ends(tmp_path):
    (tmp_path / "q.csv").write_text('name,smiles\n"a, ""b""\nc",CCO\nd,CCN\n')
    assert asked(tmp_path / "q.csv") == [("CCO", "CCO"), ("CCN", "CCN")]


def test_a_line_longer_than_any_molecule_is_refused_without_being_held(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_LINE", 100)
    (tmp_path / "q.smi").write_text("CCO\n" + "C" * 950 + "\nCCN\n")
    found = list(QueryFile.open(tmp_path / "q.smi"))
    assert [q.problem for q in found] == ["", "line 2: longer than 100 characters", ""]
    assert len(found[1].shown) <= 80


@pytest.mark.parametrize(("name", "separator"), [("q.tsv", "\t"), ("q.csv.gz", ",")])
def test_other_tables_are_read_alike(tmp_path, name, separator):
    text = f"name{separator}smiles\r\nethanol{separator}CCO\r\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert asked(tmp_path / name) == [("CCO", "CCO")]


def test_lines_of_an_smi_keep_their_names(tmp_path):
    (tmp_path / "q.smi").write_text("smiles name\n# a comment\nCCO ethanol, dry\n\nCCN\tamine\nCO |c:1|\nx\n")
    assert asked(tmp_path / "q.smi") == [
        ("CCO ethanol, dry", "CCO"), ("CCN\tamine", "CCN"), ("CO |c:1|", "CO"), ("x", "x")]


def test_records_of_an_sdf_keep_their_titles(tmp_path):
    (tmp_path / "q.sdf").write_text(sdf_of(("ethanol", "CCO"), ("", "CCN")))
    file = QueryFile.open(tmp_path / "q.sdf")
    assert file.total == 2
    assert [(q.shown, q.question.form) for q in file] == [("ethanol", "mol"), ("record 2", "mol")]


def test_parquet_is_read_in_order_with_its_missing_cells(tmp_path):
    table = pd.DataFrame({"name": range(2_500), "smiles": ["C" * (1 + i % 7) for i in range(2_500)]})
    table.loc[3, "smiles"] = None
    table.to_parquet(tmp_path / "q.parquet")
    file = QueryFile.open(tmp_path / "q.parquet")
    assert file.total == 2_500
    assert [query.shown for query in file] == table["smiles"].fillna("").tolist()


@pytest.mark.parametrize(("name", "content", "message"), [
    ("q.docx", b"", "expected a name that ends with .csv"),
    ("q.parquet.gz", b"", "expected a name that ends with"),
    ("missing.csv", None, "no such file"),
    ("q.csv", b"", "is empty"),
    ("q.parquet", b"PAR1 and no more", "cannot be read"),
    ("q.csv.gz", b"no gzip", "cannot be read"),
    ("q.csv", b'"smiles\nCCO\n', "a quote is opened and not closed"),
])
def test_says_why_a_file_cannot_be_asked(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(QueryError, match=message):
        QueryFile.open(tmp_path / name)


def test_a_truncated_archive_gives_what_it_holds_and_then_an_error(tmp_path):
    whole = gzip.compress(b"smiles\n" + b"".join(b"C%d\n" % i for i in range(20_000)))
    (tmp_path / "q.csv.gz").write_bytes(whole[:len(whole) // 2])
    read = []
    with pytest.raises(QueryError, match="cannot be read to its end"):
        read.extend(query.shown for query in QueryFile.open(tmp_path / "q.csv.gz"))
