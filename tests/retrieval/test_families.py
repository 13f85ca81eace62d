import numpy as np
import pytest

from dssl_bio.retrieval.families import changed_families, family_of


@pytest.mark.parametrize(("feature", "name"), [
    ("Median_Cells_Texture_Contrast_ER_3_00", "Cells, Texture, ER"),
    ("Median_Cytoplasm_Correlation_Correlation_Mito_Ph_golgi", "Cytoplasm, Correlation, AGP-Mito"),
    ("Nuclei_AreaShape_Area", "Nuclei, AreaShape"),
    ("CP_Cells_Intensity_MaxIntensity_Hoechst", "Cells, Intensity, DNA"),
])
def test_a_feature_name_tells_its_family(feature, name):
    family = family_of(feature)
    assert family is not None
    assert family.name == name


def test_a_gene_has_no_family():
    assert family_of("GE_TOP2A") is None


def test_rises_and_falls_do_not_cancel():
    features = ["Cells_Texture_a_ER", "Cells_Texture_b_ER", "Nuclei_AreaShape_a"]
    typical = np.ones((4, 3)) * 0.5
    table = changed_families(np.array([3.0, -3.0, 0.1]), features, typical)
    assert table["family"].tolist() == ["Cells, Texture, ER", "Nuclei, AreaShape"]
    assert table["change"].tolist() == pytest.approx([3.0, 0.1])
    assert table["share_up"].tolist() == [0.5, 1.0]
    assert table["percentile"].tolist() == [100, 0]
