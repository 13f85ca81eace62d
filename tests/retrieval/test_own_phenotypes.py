import io

import numpy as np
import pandas as pd
import pytest
import tifffile

from dssl_bio.errors import ImageError, QueryError
from dssl_bio.imaging.stains import channel_in_name
from dssl_bio.retrieval.own_phenotypes import (
    against_controls,
    looks_unlike,
    profile_table,
    site_of,
)
from dssl_bio.vocabulary import CHANNELS

FEATURES = ("Cells_a", "Nuclei_b")


def tiff(pixels):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels)
    return buffer.getvalue()


@pytest.mark.parametrize(("name", "channel"), [
    ("plate1_A01_Hoechst.tif", "DNA"), ("OrigMito.tiff", "Mito"), ("r01c01-ch1.tiff", None), ("ER_DNA.tif", None),
    ("well_w3_SYTO.tif", "RNA"), ("other.tif", None), ("Ph_Golgi-3.tif", "AGP"),
])
def test_a_channel_is_read_from_a_name_only_when_it_says_exactly_one(name, channel):
    assert channel_in_name(name) == channel


def test_files_become_a_site_in_the_order_of_the_model():
    planes = {name: np.full((6, 8), number, np.uint16) for number, name in enumerate(CHANNELS)}
    site = site_of({name: tiff(planes[name]) for name in reversed(CHANNELS)}, CHANNELS)
    assert site.shape == (5, 6, 8)
    assert site[:, 0, 0].tolist() == list(range(5))


@pytest.mark.parametrize(("content", "message"), [
    (b"II*\0 not really", "file of ER"), (b"<svg onload='alert(1)'/>", "file of ER"),
    (tiff(np.zeros((3, 3), np.uint16)), "file of ER: 3 x 3 pixels, expected 6 x 8"),
    (tiff(np.zeros((6, 8), np.float32)), "file of ER: pixels are float32"),
])
def test_what_is_no_image_of_that_channel_is_refused_by_its_content(content, message):
    files = {name: tiff(np.zeros((6, 8), np.uint16)) for name in CHANNELS} | {"ER": content}
    with pytest.raises(ImageError, match=message) as caught:
        site_of(files, CHANNELS)
    assert "/tmp" not in str(caught.value)


def test_a_missing_channel_is_named():
    with pytest.raises(ImageError, match="no file for channel Mito"):
        site_of({name: b"" for name in CHANNELS[:4]}, CHANNELS)


def test_a_table_is_recognised_by_its_content():
    table = pd.DataFrame({"Nuclei_b": [1.0, 2.0], "extra": ["=1+1", "x"], "Cells_a": [0.5, -1.0]})
    buffer = io.BytesIO()
    table.to_parquet(buffer)
    texts = [table.to_csv(index=False, sep=separator).encode() for separator in ",\t"]
    for content in (*texts, buffer.getvalue()):
        assert profile_table(content, FEATURES)["Cells_a"].tolist() == [0.5, -1.0]


@pytest.mark.parametrize(("content", "message"), [
    (b"\xff\xfe\x00", "no table"), (b"PAR1 broken", "no table"), (b"", "no table"), (b"Cells_a,Nuclei_b\n", "no rows"),
    (b"Cells_a,c\n1,2\n", "lacks 1: Nuclei_b"), (b"Cells_a,Nuclei_b\n1,x\n", "Nuclei_b: a value is missing"),
    (b"Cells_a,Nuclei_b\n" + b"1,2\n" * 2001, "too many rows"),
])
def test_what_is_no_table_of_the_features_is_refused(content, message):
    with pytest.raises(QueryError, match=message):
        profile_table(content, FEATURES)


def test_profiles_are_brought_to_the_scale_of_their_own_controls():
    generator = np.random.default_rng(0)
    table = pd.DataFrame(generator.normal([100, -5], [10, 0.1], (400, 2)), columns=list(FEATURES))
    table["Metadata_pert_type"] = ["negcon"] * 399 + ["trt"]
    values = against_controls(table, FEATURES)
    assert np.abs(np.median(values[:399], axis=0)).max() < 1e-6
    assert values[:399].std(0) == pytest.approx([1, 1], abs=0.15)
    with pytest.raises(QueryError, match="negcon in at least 2 rows"):
        against_controls(table.drop(columns="Metadata_pert_type"), FEATURES)


def test_a_profile_on_another_scale_is_noticed():
    typical = np.random.default_rng(0).normal(size=(50, 20))
    assert not looks_unlike(typical[0], typical)
    assert looks_unlike(typical[0] * 1000, typical)
    assert looks_unlike(typical[0] / 1000, typical)
