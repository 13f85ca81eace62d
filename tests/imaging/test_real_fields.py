"""The classical engine on real fields that people outlined or counted; skipped where the data are not."""

import os
from pathlib import Path

import pandas as pd
import pytest

from dssl_bio.imaging.classical import find_nuclei
from dssl_bio.imaging.labels import read_labels
from dssl_bio.imaging.read import Plane, read_site
from dssl_bio.imaging.scores import pooled, scores_at

DATA = Path(os.environ.get("DSSL_BIO_DATA", "data"))
COUNTED = {"D14": (0, 0, 600, 26), "M02": (100, 0, 500, 68), "F10": (400, 400, 600, 38)}
"""Well of CPJUMP1: top, left, side of a square in pixels, and the nuclei in it that were counted by eye."""


def fields(folder):
    table = DATA / folder / "load_data.csv"
    if not table.is_file():
        pytest.skip(f"{table} is not there; DSSL_BIO_DATA says where real screens lie")
    return pd.read_csv(table)


def scores_of_bbbc039(row):
    folder = DATA / "bbbc039"
    dna = read_site([Plane(folder / "images" / row["FileName_OrigDNA"])], ["DNA"])[0]
    return scores_at(find_nuclei(dna, 0.656), read_labels(folder / "masks" / row["FileName_NucleiMask"], 25))


def test_nuclei_that_people_outlined_are_found():
    rows = fields("bbbc039").to_dict("records")[10:15]
    scores = pooled(map(scores_of_bbbc039, rows))
    assert scores[0.5].f1 > 0.93 and scores[0.7].f1 > 0.88 and scores[0.9].f1 > 0.65


@pytest.mark.slow
def test_nuclei_of_all_fields_that_people_outlined_are_found():
    scores = pooled(map(scores_of_bbbc039, fields("bbbc039").to_dict("records")))
    assert scores[0.5].f1 > 0.93 and scores[0.7].f1 > 0.88 and scores[0.9].f1 > 0.65


@pytest.mark.parametrize("well", COUNTED)
def test_counts_come_within_a_tenth_of_those_by_eye(well):
    top, left, side, by_eye = COUNTED[well]
    table = fields("cpjump1_sites")
    row = next(r for r in table.to_dict("records") if well == _well(r))
    dna = read_site([Plane(DATA / "cpjump1_sites" / row["FileName_OrigDNA"])], ["DNA"])[0]
    found = find_nuclei(dna, 0.598)[top:top + side, left:left + side]
    assert abs(len(set(found[found > 0])) / by_eye - 1) < 0.1


def _well(row):
    return str(row["Metadata_Well"])
