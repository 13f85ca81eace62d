"""The quality report: what stands in it, its plate maps, and its tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import typer
from scipy.stats import f_oneway
from typer.testing import CliRunner

from dssl_bio.errors import ScreenError
from dssl_bio.evaluation.quality_maps import FLAGGED_SHARE, FOCUS_Z, plate_figure, well_maps
from dssl_bio.evaluation.quality_report import write_quality
from dssl_bio.evaluation.quality_wells import plate_effects, variance_between, wells_with_few_cells
from dssl_bio.screens.ingest import ingest
from dssl_bio.screens.manifest import read_manifest
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import CELL_COUNT, CHANNELS, COMPOUND, PLATE, WELL
from pipelines.quality import quality
from tests.screens.plates_of_discs import write_plates
from tests.screens.small_screen import ingested, wells_table, write_profiles


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two plates; one site of P2 is saturated, one of P1 cannot be read."""
    folder = tmp_path_factory.mktemp("report")
    manifest, table = write_plates(folder)
    (folder / "images" / table["dna"][1]).write_bytes(b"II")
    import tifffile
    for channel in CHANNELS:
        path = folder / "images" / table[channel.lower()][40]
        tifffile.imwrite(path, np.minimum(tifffile.imread(path).astype(int) * 60, 65_535).astype(np.uint16))
    ingest(read_manifest(manifest), folder / "screen")
    return folder


def test_the_page_tells_flags_refusals_warnings_and_draws_every_plate(folder, tmp_path):
    counts = write_quality(Screen.open(folder / "screen"), tmp_path)
    assert (counts["plates"], counts["sites"], counts["flagged_sites"], counts["warnings"]) == (2, 63, 1, 1)
    page = (tmp_path / "quality.html").read_text()
    for words in ("63 sites on 2 plates, 1 flagged", "Flags: saturation 1", "P1 A02 site 1:", "cannot be read",
                  "P1 A02: no site of this well is left", "Plate P1", "Plate P2", 'id="plate-P1"', 'id="light-P2"',
                  "DNA intensity (log2)", "uneven light"):
        assert words in page, words
    sites = pd.read_csv(tmp_path / "sites.csv")
    assert len(sites) == 63 * 5 and (sites["flags"] == "saturation;debris").sum() in (0, 5)
    assert set(pd.read_csv(tmp_path / "plates.csv")[PLATE]) == {"P1", "P2"}


def test_only_named_plates_are_drawn_and_unknown_ones_are_an_error(folder, tmp_path):
    screen = Screen.open(folder / "screen")
    write_quality(screen, tmp_path, plates=["P2"])
    page = (tmp_path / "quality.html").read_text()
    assert 'id="plate-P2"' in page and 'id="plate-P1"' not in page and "Maps of 1 of 2 plates" in page
    with pytest.raises(ScreenError, match="no plate 'P9'.*P1, P2"):
        write_quality(screen, tmp_path, plates=["P9"])


def test_maps_hold_what_was_measured_where_it_was_measured(folder):
    screen = Screen.open(folder / "screen")
    wells = screen.wells.assign(**{CELL_COUNT: np.arange(len(screen.wells))})
    table, names = well_maps(screen.images.table, screen.images.quality(), wells, screen.images.channels)
    assert names == ["cell count", *(f"{c} intensity (log2)" for c in CHANNELS), FOCUS_Z, FLAGGED_SHARE]
    plate = table[table[PLATE] == "P2"]
    figure = plate_figure(plate, names)
    heat = {trace.hovertemplate.split("<extra>")[1].removesuffix("</extra>"): trace for trace in figure.data}
    assert list(heat[FLAGGED_SHARE].y) == list("ABCD") and len(heat[FLAGGED_SHARE].x) == 8
    place = np.argwhere(np.array(heat[FLAGGED_SHARE].z) == 1)
    assert place.tolist() == [[1, 0]]  # the ninth well of the plate is B01
    row = plate.set_index(WELL).loc["C05"]
    assert heat["cell count"].z[2][4] == row["cell count"]
    assert heat["DNA intensity (log2)"].z[2][4] == pytest.approx(row["DNA intensity (log2)"], abs=1e-3)
    assert np.median(plate["ER intensity (log2)"]) == pytest.approx(0, abs=1e-6)


def test_a_screen_without_images_is_an_error_and_the_command_says_so(folder, tmp_path):
    app = typer.Typer()
    app.command("quality")(quality)
    ingested(write_profiles(tmp_path, wells_table()))
    result = CliRunner().invoke(app, [str(tmp_path / "screen"), "--out", str(tmp_path / "q")])
    assert result.exit_code == 1 and "has no images" in result.output and not (tmp_path / "q").exists()
    result = CliRunner().invoke(app, [str(folder / "screen"), "--out", str(tmp_path / "q")])
    assert result.exit_code == 0, result.output
    assert "63 sites on 2 plates, 1 flagged" in result.output and (tmp_path / "q" / "quality.html").is_file()


def test_wells_with_few_cells_are_told_with_what_was_in_them(folder, tmp_path):
    screen = Screen.open(folder / "screen")
    counts = np.full(len(screen.wells), 100.0)
    counts[[3, 40]] = 49.0, 2.0
    wells = screen.wells.assign(**{CELL_COUNT: counts, COMPOUND: [f"drug {n}" for n in range(len(counts))]})
    few = wells_with_few_cells(screen.images.table, wells)
    assert few["row"].tolist() == [40, 3] and few["share"].tolist() == [0.02, 0.49]
    assert wells_with_few_cells(screen.images.table, screen.wells) is None
    write_quality(screen, tmp_path)
    assert "Cells were not counted" in (tmp_path / "quality.html").read_text()
    found = write_quality(replace(screen, wells=wells), tmp_path)
    page = (tmp_path / "quality.html").read_text()
    assert found["wells_with_few_cells"] == 2
    assert "Wells with few cells (2)" in page and "drug 40" in page and "drug 41" not in page


def test_a_well_that_lost_sites_is_not_taken_for_dead_and_small_plates_are_held_against_the_screen():
    sites = pd.DataFrame({"row": [0, 0, 0, 0, 1, 2, 3, 4, 5, 6], PLATE: ["a"] * 8 + ["b"] * 2})
    wells = pd.DataFrame({CELL_COUNT: [400, 100, 100, 100, 100, 10, 12.0]})
    assert wells_with_few_cells(sites, wells)["row"].tolist() == [5, 6]  # b: two wells, both dead


def test_the_share_of_variance_between_plates_is_that_of_an_analysis_of_variance():
    generator = np.random.default_rng(0)
    group = np.repeat(["a", "b", "c"], 40)
    shifted = generator.normal(size=120) + np.repeat([0.0, 2.0, 4.0], 40)
    # population: the means 0, 2, 4 have variance 8/3, the noise 1
    assert variance_between(shifted, group) == pytest.approx(8 / 3 / (8 / 3 + 1), abs=0.05)
    chance = [variance_between(generator.normal(size=120), group) for _ in range(200)]
    assert np.mean(chance) < 0.015 and max(chance) < 0.15
    f = f_oneway(*(shifted[group == name] for name in "abc")).statistic
    assert variance_between(shifted, group) == pytest.approx(2 * (f - 1) / (2 * f + 117))
    for values, groups in ((shifted, np.repeat("a", 120)), (np.ones(120), group), (shifted[:3], group[[0, 40, 80]])):
        assert np.isnan(variance_between(values, groups))


def test_a_plate_effect_is_found_where_there_is_one_and_gone_after_scaling_by_plate(folder, tmp_path):
    screen = Screen.open(folder / "screen")
    quality, plates = screen.images.quality(), screen.images.table[PLATE].to_numpy()
    on_second = (plates == "P2")[quality["site"]] & (quality["channel"] == "ER")
    quality.loc[on_second, ["q0.05", "q0.99"]] *= 3.0
    limits = screen.images.limits(np.arange(len(plates))).copy()
    limits[plates == "P2", CHANNELS.index("ER")] *= 3.0
    effects = {found.measure: found for found in plate_effects(
        screen.images.table, quality, screen.wells, screen.images.channels, limits)}
    er = effects["ER brightness"]
    assert er.raw > 0.9 and er.highest == "P2" and er.distance == pytest.approx(np.log2(3), abs=0.2)
    assert er.scaled < 0.4 and effects["DNA background"].raw < 0.5 and "cell count" not in effects
    write_quality(screen, tmp_path)
    page = (tmp_path / "quality.html").read_text()
    assert "Plates beside each other" in page and "of the variance between wells." in page
    assert "DNA background" in page
