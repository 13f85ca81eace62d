"""Colours of the themes against the definition of contrast in WCAG 2.2."""

import re
import tomllib
from pathlib import Path

import pytest
from dssl_bio.app import cards

THEMES = tomllib.loads(Path("app/settings.toml").read_text())["theme"]
ENOUGH = 4.5


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_is_the_published_one():
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("background", ["backgroundColor", "secondaryBackgroundColor"])
@pytest.mark.parametrize("text", ["textColor", "linkColor", "primaryColor"])
def test_text_stands_out_from_its_backgrounds(theme, background, text):
    assert contrast(THEMES[theme][text], THEMES[theme][background]) >= ENOUGH


@pytest.mark.parametrize(("theme", "style"), [("light", cards.LIGHT), ("dark", cards.DARK)])
def test_captions_and_primary_buttons_can_be_read(theme, style):
    caption = re.search(r"stCaptionContainer.*?color: (#\w{6})", style)[1]
    for background in ("backgroundColor", "secondaryBackgroundColor"):
        assert contrast(caption, THEMES[theme][background]) >= ENOUGH
    on_primary = re.search(r"primary.*?color: (#\w{6})", style)
    assert contrast(on_primary[1] if on_primary else "#ffffff", THEMES[theme]["primaryColor"]) >= ENOUGH
