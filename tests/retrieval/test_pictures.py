"""Which picture shows a well."""

import pandas as pd

from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.pictures import entry_picture, picture_numbers


def test_a_well_has_the_picture_of_its_entry_and_a_control_its_own(image_bundle):
    bundle = Bundle.open(image_bundle)
    numbers = picture_numbers(bundle)
    wells = pd.read_parquet(image_bundle / "wells.parquet")
    for _, well in wells[wells["entry"] >= 0].iterrows():
        shown = entry_picture(bundle, int(well["entry"]))
        if shown is not None:
            assert (bundle.pictures[numbers[well["row_key"]]] == shown.pixels).all()
    own = bundle.controls[bundle.controls["picture"] >= 0]
    assert len(numbers) and all(numbers[key] == number for key, number in
                                zip(own["row_key"], own["picture"], strict=True))


def test_a_bundle_of_profiles_has_none(small_road):
    assert picture_numbers(Bundle.open(small_road / "bundle")) == {}
