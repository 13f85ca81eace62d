import pytest

from dssl_bio.vocabulary import well_name, well_position


@pytest.mark.parametrize("text", ["a1", "a01", "A1", "A01", " A001"])
def test_every_spelling_is_one_well(text):
    assert well_name(text) == "A01"


def test_positions_of_384_and_1536_well_plates():
    assert well_position("A01") == (0, 0)
    assert well_position("P24") == (15, 23)
    assert well_position("AF48") == (31, 47)


@pytest.mark.parametrize("text", ["", "A", "1A", "A00", "A100", "ABC1"])
def test_what_is_not_a_well_is_refused(text):
    with pytest.raises(ValueError, match="is not a well"):
        well_name(text)
