"""What decoders learn from: whose shared and whose specific part stands beside a well's features."""

import numpy as np
import pandas as pd
import pytest

from dssl_bio.learning.decoders.fit import _draws, _others
from dssl_bio.learning.decoders.material import Material, places
from dssl_bio.learning.decoders.storage import DecoderFacts
from dssl_bio.learning.representation import SharedSpecific

N = 40


@pytest.fixture
def material():
    """Four plates of ten wells, six of them to learn from; a well's number is written into its codes."""
    numbers = np.arange(N, dtype=np.float32)[:, None]
    wells = pd.DataFrame({"Metadata_Plate": np.repeat(list("abcd"), 10), "treatment": np.arange(N) // 2,
                          "use": np.where(np.arange(N) % 10 < 6, "train", "valid")})
    return Material(wells, SharedSpecific(numbers, numbers + 0.5), -numbers[: N // 2], numbers, ("one",), None)


def drawn(material, exchanged):
    facts = DecoderFacts(1, 1, ("one",), (), 0.0, 0.07, "", 0)
    parts = [batch for epoch in range(20) for batch in _draws(material, facts, 16, 3, exchanged)(epoch, 4)]
    rows = np.concatenate([rows for rows, _, _ in parts])
    return rows, *(np.concatenate([part[place].numpy()[:, 0] for part in parts]) for place in (1, 2))


def test_shared_parts_are_the_wells_own_or_the_treatments_in_equal_shares(material):
    rows, shared, specific = drawn(material, 0.0)
    of_treatment = shared <= 0
    assert (specific == rows + 0.5).all()
    assert (shared[~of_treatment] == rows[~of_treatment]).all()
    assert (shared[of_treatment & (rows > 1)] == -(rows[of_treatment & (rows > 1)] // 2)).all()
    assert of_treatment.mean() == pytest.approx(0.5, abs=0.05)


def test_some_specific_parts_are_those_of_training_wells_of_the_same_plate(material):
    rows, _, specific = drawn(material, 0.25)
    giver = (specific - 0.5).astype(int)
    place, train = places(material.wells), material.rows("train")
    assert (place[giver] == place[rows]).all() and np.isin(giver, train).all()
    # One in four is exchanged, and one in six of those gets its own.
    assert (giver != rows).mean() == pytest.approx(0.25 * 5 / 6, abs=0.03)


def test_calibration_asks_other_wells_of_the_plate(material):
    rows = material.rows("valid")
    others = _others(material, rows, 0)
    assert (places(material.wells)[others] == places(material.wells)[rows]).all()
    assert np.isin(others, material.rows("train")).all()
    alone = material.wells.assign(**{"Metadata_Plate": np.arange(N).astype(str)})
    assert (_others(Material(alone, material.codes, material.treatments, material.features, ("one",), None), rows, 0)
            == rows).all()


def test_places_are_plates_or_runs_or_one():
    assert places(pd.DataFrame({"Metadata_Plate": ["x", "y", "x"]})).tolist() == [0, 1, 0]
    assert places(pd.DataFrame({"Metadata_Plate": ["x", None], "Metadata_Run": ["1", "2"]})).tolist() == [0, 1]
    assert places(pd.DataFrame({"row_key": ["x", "y"]})).tolist() == [0, 0]
