"""Images of one's own are corrected for uneven light as the screen's were, and read around nuclei as the model asks."""

from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

from dssl_bio.errors import ImageError, QueryError
from dssl_bio.learning.config import ImageConfig
from dssl_bio.retrieval import own_phenotypes
from dssl_bio.retrieval.light import MeanLight, mean_light
from dssl_bio.retrieval.own_phenotypes import embed_site
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.vocabulary import CHANNELS
from tests.screens.plates_of_discs import SIDE, light, write_plates


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("discs")
    manifest, table = write_plates(folder)
    return folder, table, ingest(read_manifest(manifest), folder / "screen")


def raw(plates, number):
    folder, table, _ = plates
    row = table.iloc[number]
    return np.stack([tifffile.imread(folder / "images" / row[channel.lower()]) for channel in CHANNELS])


def test_the_mean_of_the_plates_is_the_light_that_was_made(plates):
    mean = mean_light(plates[2].images)
    assert mean.n_plates == 2 and mean.field.shape[0] == 5
    expected = light()[:, np.linspace(0, SIDE - 1, mean.field.shape[2]).round().astype(int)][0]
    for plane in mean.field:
        np.testing.assert_allclose(plane.mean(0), expected, atol=0.05)
    assert (mean.between_plates < 0.08).all()  # what 32 small sites leave uncertain
    assert mean.unevenness == pytest.approx(light().std(), abs=0.03)
    assert "the mean illumination of 2 plates (uneven by 1" in mean.words()


def test_of_one_plate_it_corrects_a_raw_image_to_the_very_pixels_that_were_stored(plates, monkeypatch):
    screen = plates[2]
    whole = screen.images.plates()
    monkeypatch.setattr(type(screen.images), "plates", lambda self: whole[whole["Metadata_Plate"] == "P1"])
    mean = mean_light(screen.images)
    assert mean.n_plates == 1 and "plates differ" not in mean.words()
    for number in (0, 3):
        corrected = mean.corrected(raw(plates, number)).astype(int)
        assert np.abs(corrected - screen.images.sites[number].astype(int)).max() <= 1
    with pytest.raises(QueryError, match="light of 5 channels is known, the image has 2"):
        mean.corrected(raw(plates, 0)[:2])


def test_it_is_kept_and_read_again(plates, tmp_path):
    mean = mean_light(plates[2].images)
    mean.save(tmp_path / "light")
    again = MeanLight.read(tmp_path / "light")
    np.testing.assert_array_equal(again.field, mean.field)
    np.testing.assert_array_equal(again.dark, mean.dark)
    assert again.words() == mean.words() and set(mean.as_json()) == {"plates", "unevenness", "between_plates"}


def test_where_no_plate_was_corrected_there_is_none(plates, monkeypatch):
    images = plates[2].images
    table = images.plates().assign(illumination="none")
    monkeypatch.setattr(type(images), "plates", lambda self: table)
    assert mean_light(images) is None
    monkeypatch.undo()
    assert mean_light(replace(images, folder=None)) is None  # screens of earlier versions have no such table


class Seen:
    """Stands for a run: keeps what it is asked to embed."""

    def __init__(self, run, **image):
        config = run.config.model_copy(update={"image": ImageConfig(tile_px=32, **image)})
        facts = replace(run.facts, channels=CHANNELS, pixel_size_um=1.0)
        self.config, self.facts, self.inputs = config, facts, None

    def embed_wells(self, one, rows, membership):
        self.inputs = torch.cat([inputs for inputs, _ in one.chunks(rows, membership)]).numpy()
        return self.inputs


@pytest.fixture
def run(image_bundle):
    from dssl_bio.learning.run import Run

    return Run.open(image_bundle / "run")


def test_a_raw_upload_is_read_as_the_screens_own_site(plates, run):
    screen, seen = plates[2], Seen(run)
    mean = mean_light(screen.images)
    embed_site(seen, raw(plates, 5), 1.0, raw(plates, 0), mean)
    corrected = seen.inputs
    embed_site(seen, raw(plates, 5), 1.0, raw(plates, 0))
    as_it_came = seen.inputs
    embed_site(seen, screen.images.sites[5], 1.0, screen.images.sites[0])
    stored = seen.inputs
    assert np.abs(corrected - stored).mean() < 0.5 * np.abs(as_it_came - stored).mean()


def test_a_model_of_nuclei_reads_an_upload_around_its_nuclei(plates, run, monkeypatch):
    screen = plates[2]
    site = screen.images.sites[5]
    centres = []
    monkeypatch.setattr(own_phenotypes, "_nuclei", lambda *_: centres.append(1) or np.array([[3.0, 3.0], [40.0, 30.0]]))
    seen = Seen(run, tiles="nuclei")
    embed_site(seen, site, 1.0)
    whole = Seen(run)
    embed_site(whole, site, 1.0)
    full = np.zeros((5, SIDE, SIDE), np.float32)
    for number, tile in enumerate(whole.inputs):
        y, x = divmod(number, 2)
        full[:, 32 * y:32 * y + 32, 32 * x:32 * x + 32] = tile
    np.testing.assert_array_equal(seen.inputs[0], full[:, :32, :32])
    np.testing.assert_array_equal(seen.inputs[1], full[:, 24:56, 14:46])
    embed_site(seen, site, 2.0)
    assert seen.inputs.shape == (2, 5, 32, 32) and len(centres) == 2


def test_nuclei_of_an_upload_are_found_at_most_so_many_and_an_empty_one_is_read_whole(run):
    y, x = np.mgrid[:200, :200]
    places = [(40, 40), (100, 60), (150, 150), (60, 150)]
    dna = 300 + sum(2000 * (((y - a) ** 2 + (x - b) ** 2) < 64) for a, b in places)
    site = np.stack([dna] * 5) + np.random.default_rng(0).normal(0, 10, (5, 200, 200))
    site = site.astype(np.uint16)
    found = own_phenotypes._nuclei(Seen(run, tiles="nuclei"), site, 1.0)
    assert sorted(map(tuple, found.round().astype(int).tolist())) == sorted(places)
    assert len(own_phenotypes._nuclei(Seen(run, tiles="nuclei", nuclei_per_well=3), site, 1.0)) == 3
    fine = np.repeat(np.repeat(site, 2, axis=1), 2, axis=2)
    halved = own_phenotypes._nuclei(Seen(run, tiles="nuclei"), fine, 0.5)
    np.testing.assert_allclose(np.sort(halved[:, 0]), np.sort([2 * a + 0.5 for a, _ in places]), atol=1.5)
    seen = Seen(run, tiles="nuclei")
    embed_site(seen, np.random.default_rng(0).normal(300, 10, (5, 64, 64)).astype(np.uint16), 1.0)
    assert seen.inputs.shape == (4, 5, 32, 32)
    seen.facts = replace(seen.facts, channels=("ER",))
    with pytest.raises(ImageError, match="none of ER shows them"):
        embed_site(seen, site[:1], 1.0)
