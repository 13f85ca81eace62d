import numpy as np
import pytest
from skimage.feature import graycomatrix, graycoprops

from dssl_bio.imaging.cell_features import (
    TEXTURE_LEVELS,
    TEXTURE_SCALE_PX,
    cell_features,
    correlations,
    grey_levels,
    intensities,
    radial,
    shapes,
    textures,
)
from dssl_bio.imaging.segmentation import Masks


def square_and_bar():
    labels = np.zeros((40, 60), np.int32)
    labels[5:15, 5:15], labels[20:24, 10:50] = 1, 2
    return labels


def test_shapes_solved_by_hand():
    found = shapes(square_and_bar(), 0.5, 3)
    assert found["AreaShape_Area"][:2].tolist() == [100 * 0.25, 160 * 0.25]
    assert found["AreaShape_Extent"][:2].tolist() == [1, 1] and found["AreaShape_Solidity"][:2].tolist() == [1, 1]
    # a rectangle of a x b pixels has axes of 4 sqrt((a^2 - 1) / 12 + 1 / 12) = 4 a / sqrt(12)
    assert found["AreaShape_MajorAxisLength"][1] == pytest.approx(0.5 * 4 * 40 / np.sqrt(12), rel=1e-3)
    assert found["AreaShape_Eccentricity"][0] == pytest.approx(0)
    assert found["AreaShape_EquivalentDiameter"][0] == pytest.approx(0.5 * np.sqrt(400 / np.pi))
    assert np.isnan(found["AreaShape_Area"][2])


def test_a_disk_has_form_factor_one():
    y, x = np.mgrid[:101, :101]
    disk = ((y - 50) ** 2 + (x - 50) ** 2 < 40**2).astype(np.int32)
    assert shapes(disk, 1.0, 1)["AreaShape_FormFactor"][0] == pytest.approx(1, abs=0.1)


def test_intensities_and_correlations_are_those_of_numpy():
    labels, generator = square_and_bar(), np.random.default_rng(0)
    first = generator.integers(0, 500, labels.shape)
    second = 3 * first + generator.integers(0, 300, labels.shape)
    found = intensities(first, labels, 2)
    for number in (1, 2):
        pixels = first[labels == number]
        expected = {"MeanIntensity": pixels.mean(), "StdIntensity": pixels.std(), "MinIntensity": pixels.min(),
                    "MaxIntensity": pixels.max(), "MedianIntensity": np.median(pixels),
                    "IntegratedIntensity": pixels.sum()}
        for name, value in expected.items():
            assert found[name][number - 1] == pytest.approx(value), name
        inside = labels == number
        assert correlations(first, second, labels, 2)[number - 1] == pytest.approx(
            np.corrcoef(first[inside], second[inside])[0, 1])


def test_textures_are_those_of_scikit_image():
    """A rectangle alone: its co-occurrences are those of the cut-out picture."""
    labels = square_and_bar()
    plane = np.random.default_rng(1).integers(0, 900, labels.shape)
    found = textures(plane, labels, 2)
    for number, cut in ((1, np.s_[5:15, 5:15]), (2, np.s_[20:24, 10:50])):
        levels = grey_levels(plane, labels, 2)[cut].astype(np.uint8)
        table = graycomatrix(levels, [TEXTURE_SCALE_PX], [0, np.pi / 2], TEXTURE_LEVELS, symmetric=True)
        both = table.sum(axis=3, keepdims=True).astype(float)
        both /= both.sum()
        for name, theirs in (("Contrast", "contrast"), ("Correlation", "correlation"), ("AngularSecondMoment", "ASM"),
                             ("InverseDifferenceMoment", "homogeneity")):
            assert found[name][number - 1] == pytest.approx(graycoprops(both, theirs)[0, 0]), name


def test_light_in_the_middle_is_told_from_light_at_the_rim():
    y, x = np.mgrid[:61, :61]
    away = np.sqrt((y - 30) ** 2 + (x - 30) ** 2)
    labels = (away < 24).astype(np.int32)
    even = radial(np.ones(labels.shape), labels, 1)
    assert [even[f"MeanFrac_{k}of4"][0] for k in range(1, 5)] == pytest.approx([1, 1, 1, 1])
    assert sum(even[f"FracAtD_{k}of4"][0] for k in range(1, 5)) == pytest.approx(1)
    # rings of equal depth of a disk hold 1, 3, 5 and 7 sixteenths of it
    shares = [even[f"FracAtD_{k}of4"][0] for k in range(1, 5)]
    assert shares == pytest.approx([1 / 16, 3 / 16, 5 / 16, 7 / 16], abs=0.04)
    middle = radial((away < 5).astype(float), labels, 1)
    assert middle["FracAtD_1of4"][0] > 0.95 and middle["FracAtD_4of4"][0] == 0


def test_cells_without_nucleus_or_cell_are_not_numbers_and_names_are_those_of_cellprofiler():
    nuclei, cells = square_and_bar(), np.where(square_and_bar() == 1, 1, 0).astype(np.int32)
    cells[3:17, 3:17] = 1
    site = np.random.default_rng(2).integers(0, 900, (2, 40, 60))
    table = cell_features(site, Masks(nuclei, cells), ("DNA", "ER"), 0.5)
    assert table.index.tolist() == [1, 2]
    assert table.loc[1, "Cells_AreaShape_Area"] == 196 * 0.25
    assert table.loc[1, "Cytoplasm_AreaShape_Area"] == 96 * 0.25
    assert np.isnan(table.loc[2, "Cells_AreaShape_Area"]) and table.loc[2, "Nuclei_AreaShape_Area"] == 40
    for name in ("Nuclei_Intensity_MeanIntensity_DNA", "Cells_Texture_Contrast_ER_3",
                 "Cytoplasm_RadialDistribution_FracAtD_DNA_1of4", "Cells_Correlation_Correlation_DNA_ER"):
        assert name in table
    assert table.loc[1, "Nuclei_Neighbors_FirstClosestDistance"] == pytest.approx(0.5 * np.hypot(12, 20))
    assert not len(cell_features(site, Masks(nuclei * 0, None), ("DNA", "ER"), 0.5))
