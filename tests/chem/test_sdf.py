import pytest
from rdkit import Chem

from dssl_bio.chem.sdf import sdf_records
from dssl_bio.chem.standardize import MAX_BLOCK_CHARACTERS, standardize, standardize_mol_block
from dssl_bio.errors import MoleculeError

MOLECULES = {"ethanol": "CCO", "aspirin": "CC(=O)Oc1ccccc1C(=O)O", "": "C[C@H](N)C(=O)O"}


def record(title, smiles, fields="> <ID>\n7\n\n"):
    mol = Chem.MolFromSmiles(smiles)
    mol.SetProp("_Name", title)
    return Chem.MolToMolBlock(mol) + fields + "$$$$\n"


WHOLE = "".join(record(*item) for item in MOLECULES.items())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_record_is_the_molecule_that_rdkit_reads(end):
    text = WHOLE.replace("\n", end)
    found = list(sdf_records(text.splitlines(keepends=True)))
    assert [item.title for item in found] == list(MOLECULES)
    supplier = Chem.SDMolSupplier()
    supplier.SetData(WHOLE)
    for item, mol in zip(found, supplier, strict=True):
        assert standardize_mol_block(item.block).inchikey == standardize(Chem.MolToSmiles(mol)).inchikey


def test_data_fields_are_left_out():
    (found,) = sdf_records(record("x", "CCO", "> <SECRET>\nM  END of the world\n\n").splitlines())
    assert "SECRET" not in found.block
    assert found.block.endswith("M  END\n")


def test_the_last_end_mark_may_be_missing_and_blank_lines_after_it_are_no_record():
    assert len(list(sdf_records(WHOLE.removesuffix("$$$$\n").splitlines()))) == len(MOLECULES)
    assert len(list(sdf_records((WHOLE + "\n  \n").splitlines()))) == len(MOLECULES)
    assert list(sdf_records([])) == []


def test_an_empty_record_keeps_its_place():
    found = list(sdf_records((record("a", "C") + "$$$$\n" + record("b", "CC")).splitlines()))
    assert [item.title for item in found] == ["a", "", "b"]
    with pytest.raises(MoleculeError, match="no counts line"):
        standardize_mol_block(found[1].block)


def test_a_record_without_end_is_cut_and_refused_while_the_next_is_read():
    endless = ["endless", "", ""] + ["x" * 70] * (3 * MAX_BLOCK_CHARACTERS // 70) + ["$$$$"]
    first, second = sdf_records(endless + record("good", "CCO").splitlines())
    assert MAX_BLOCK_CHARACTERS < len(first.block) < MAX_BLOCK_CHARACTERS + 100
    with pytest.raises(MoleculeError, match="at most 60,000 are accepted"):
        standardize_mol_block(first.block)
    assert second.title == "good"


def test_records_come_one_at_a_time():
    read = 0

    def lines():
        nonlocal read
        for line in WHOLE.splitlines() * 100:
            read += 1
            yield line

    records = sdf_records(lines())
    next(records)
    assert read == len(record("ethanol", "CCO").splitlines())
