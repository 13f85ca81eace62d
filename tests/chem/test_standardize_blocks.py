import pytest
from rdkit import Chem
from rdkit.Chem.MolStandardize import rdMolStandardize

from dssl_bio.chem.standardize import MAX_ATOMS, standardize, standardize_mol_block
from dssl_bio.errors import MoleculeError

MOLECULES = ["CC(=O)Oc1ccccc1C(=O)[O-].[Na+]", "C[N+](C)(C)CC(=O)[O-]", "CC[Mg]Br", "C[S+]([O-])C", "F/C=C/F",
             "C[C@H](F)Cl.Cl", "[O-][n+]1ccccc1", "[Pt](N)(N)(Cl)Cl", "c1ccccc1[N+](=O)[O-]", "[H]C([H])([H])O",
             "CS(C)=O", "CP(O)(O)O"]


@pytest.mark.parametrize("smiles", MOLECULES)
def test_the_parent_is_that_of_rdkits_own_cleanup(smiles):
    cleaned = rdMolStandardize.FragmentParent(rdMolStandardize.Cleanup(Chem.MolFromSmiles(smiles)))
    assert standardize(smiles).smiles == Chem.MolToSmiles(rdMolStandardize.Uncharger().uncharge(cleaned))


@pytest.mark.parametrize("smiles", MOLECULES)
@pytest.mark.parametrize("version", ["V2000", "V3000"])
def test_a_record_is_the_molecule_that_its_smiles_is(smiles, version):
    mol = Chem.MolFromSmiles(smiles)
    block = Chem.MolToMolBlock(mol) if version == "V2000" else Chem.MolToV3KMolBlock(mol)
    assert standardize_mol_block(block).inchikey == standardize(Chem.MolToSmiles(mol)).inchikey


def test_a_record_under_the_caps_is_refused_before_rdkit_sees_it(monkeypatch):
    mol = Chem.MolFromSmiles("C" * (MAX_ATOMS + 1))
    monkeypatch.setattr(Chem, "MolFromMolBlock", None)
    for block in (Chem.MolToMolBlock(mol), Chem.MolToV3KMolBlock(mol)):
        with pytest.raises(MoleculeError, match="251 atoms"):
            standardize_mol_block(block)
    with pytest.raises(MoleculeError, match="characters"):
        standardize_mol_block(Chem.MolToMolBlock(mol) * 10)


@pytest.mark.parametrize(("block", "message"), [
    ("", "counts line"), ("title\n\n\n  1  0\nx", "MOL record"),
    ("M  V30 COUNTS 1 0 0\n\n\n  2  1  0  0  0  0            999 V3000\nM  V30 COUNTS 999 0 0\n", "999 atoms")])
def test_what_is_no_record_is_refused_with_a_reason(block, message):
    with pytest.raises(MoleculeError, match=message):
        standardize_mol_block(block)
