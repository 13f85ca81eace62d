import xml.etree.ElementTree as ET

import pytest

from dssl_bio.chem.depict import svg
from dssl_bio.chem.standardize import standardize


def test_a_drawing_is_svg_of_the_wanted_size_without_ground():
    root = ET.fromstring(svg(standardize("CC(=O)Oc1ccccc1C(=O)O"), 300, 200))
    assert root.tag.endswith("svg")
    assert root.get("width") == "300px"
    assert not [node for node in root.iter() if node.tag.endswith("rect")]


def test_bonds_are_light_on_a_dark_page():
    benzene = standardize("c1ccccc1")
    assert "#000000" in svg(benzene)
    assert "#000000" not in svg(benzene, dark=True)


def test_weights_colour_their_atoms_and_their_number_is_checked():
    ethanol = standardize("CCO")
    assert "ellipse" in svg(ethanol, weights=[0.5, 0, -1])
    assert "ellipse" not in svg(ethanol, weights=[0, 0, 0])
    with pytest.raises(ValueError, match="2 weights for 3 atoms"):
        svg(ethanol, weights=[1, 2])
