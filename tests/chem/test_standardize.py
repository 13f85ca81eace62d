import pytest

from dssl_bio.chem.standardize import standardize
from dssl_bio.errors import MoleculeError


def test_salts_charges_and_extensions_lead_to_one_parent():
    aspirin = standardize("CC(=O)Oc1ccccc1C(=O)O")
    assert aspirin.inchikey == "BSYNRYMUTXBXSQ-UHFFFAOYSA-N"
    for text in ("CC(=O)Oc1ccccc1C(=O)[O-].[Na+]", "CC(=O)Oc1ccccc1C(=O)O |c:3,5|", " OC(=O)c1ccccc1OC(C)=O aspirin"):
        assert standardize(text).inchikey == aspirin.inchikey


def test_stereoisomers_share_the_identity_that_splits():
    left, right = standardize("C[C@H](N)C(=O)O"), standardize("C[C@@H](N)C(=O)O")
    assert left.inchikey != right.inchikey
    assert left.id == right.id


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "empty"), ("C" * 3000, "characters"), ("C" * 300, "atoms"), ("c1ccccc", "not a valid SMILES"),
     ("C\u202eC", "no SMILES has"), ("[H][H]", "heavy atom")],
)
def test_what_is_not_a_molecule_is_refused_with_a_reason(text, message):
    with pytest.raises(MoleculeError, match=message):
        standardize(text)
