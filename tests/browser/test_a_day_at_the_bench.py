"""What a biologist does with the pages alone, from a typed molecule to a report that is passed on."""

import json
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.conftest import settled

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium (apt-get install chromium)"),
]

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
HIT = ".dssl-hit .name"


def test_a_molecule_is_asked_judged_kept_compared_and_passed_on(server, page, themes, tmp_path):
    page.goto(server)
    page.get_by_label("Molecule", exact=True).fill(ASPIRIN)
    page.keyboard.press("Enter")

    # One sentence says how far to trust it; cells stand beside untreated ones of the same plate
    page.get_by_text("to the nearest); how often such a molecule finds its own phenotype is not known").wait_for()
    page.get_by_alt_text("Untreated cells of the same plate").first.wait_for()
    settled(page)
    names = page.locator(HIT).all_text_contents()
    assert len(names) == 6

    # By mechanism the same hits are gathered
    page.get_by_text("By mechanism").click()
    page.locator(".dssl-group").first.wait_for()
    settled(page)
    assert sorted(page.locator(HIT).all_text_contents()) == sorted(names)
    page.get_by_text("Best first", exact=True).click()
    page.locator(".dssl-group").first.wait_for(state="hidden")
    settled(page)

    # The phenotype's own factors open where the hit is, and close
    page.get_by_role("button", name="Factors", exact=True).nth(1).click()
    page.get_by_text("Factors of this phenotype").wait_for()
    settled(page)
    page.get_by_role("button", name="Hide factors").click()
    page.get_by_text("Factors of this phenotype").wait_for(state="hidden")
    settled(page)

    # Hits are kept, saved, removed and loaded
    for kept in (1, 2):
        page.get_by_role("button", name="Keep", exact=True).first.click()
        page.get_by_role("button", name="Kept", exact=True).nth(kept - 1).wait_for()
        settled(page)
    page.get_by_role("link", name="Kept hits").click()
    page.get_by_role("heading", name="Kept hits").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save").click()
    file = tmp_path / "mine.json"
    download.value.save_as(file)
    assert [hit["name"] for hit in json.loads(file.read_text())["hits"]] == names[:2]
    settled(page)
    page.get_by_role("button", name="Remove all").click()
    page.get_by_text("Nothing is kept yet").wait_for()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Remove all").wait_for()
    settled(page)
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_text("Phenotypes, best first").wait_for()
    assert parse_qs(urlsplit(page.url).query)["molecule"] == [ASPIRIN]

    # The address, the command and the report say the same again
    page.locator(HIT).nth(5).wait_for()
    settled(page)
    page.get_by_role("button", name="Share").click()
    page.get_by_text(f"--smiles '{ASPIRIN}' --top-k 6").wait_for()
    page.keyboard.press("Escape")
    with page.expect_download() as download:
        page.get_by_role("button", name="Report").click()
    report = tmp_path / "report.html"
    download.value.save_as(report)
    other = themes["dark"].new_page()
    other.goto(page.url)
    other.locator(HIT).nth(5).wait_for()
    assert other.locator(HIT).all_text_contents() == names
    other.goto(Path(report).as_uri())
    assert other.locator("img").count() >= 6
    assert other.locator("img:not([alt])").count() == 0
    other.close()

    # Two molecules side by side
    page.get_by_role("link", name="Compare").click()
    page.get_by_role("heading", name="Compare").wait_for()
    page.get_by_label("First molecule").fill(ASPIRIN)
    page.get_by_label("Second molecule").fill("cpd 3")
    page.get_by_role("button", name="Compare").click()
    page.get_by_text("are found by both").wait_for()
