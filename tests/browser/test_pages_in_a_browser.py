"""The application in a real browser: type, draw, search, look, take along; nothing leaves the machine."""

import importlib.util
import io
import shutil
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import tifffile

from dssl_bio.vocabulary import CHANNELS
from tests.browser.conftest import settled

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium (apt-get install chromium)"),
]

PAGES = sorted(path.stem for path in Path("app/app_pages").glob("*.py") if path.name != "__init__.py")
BAD = ("serious", "critical")


def test_typing_a_molecule_shows_hits_beside_untreated_cells(server, page):
    page.goto(server)
    page.get_by_label("Molecule", exact=True).fill("Nc1ccccc1.Cl")
    page.keyboard.press("Enter")
    page.get_by_text("kept the largest fragment").wait_for()
    page.get_by_alt_text("Untreated cells of the same plate").first.wait_for()
    assert "molecule=Nc1ccccc1.Cl" in page.url
    before = page.get_by_alt_text("Cells treated with").first.get_attribute("src")
    page.get_by_role("button", name="DNA", exact=True).click()
    page.wait_for_function("src => document.querySelector('img[alt^=\"Cells treated\"]').getAttribute('src') != src",
                           arg=before)
    settled(page)
    before = page.get_by_alt_text("Cells treated with").first.get_attribute("src")
    page.get_by_role("slider", name="Contrast").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("src => document.querySelector('img[alt^=\"Cells treated\"]').getAttribute('src') != src",
                           arg=before)
    widths = page.evaluate("""async () => { const cells = [...document.querySelectorAll('img[alt^="Cells treated"]')];
        await Promise.all(cells.slice(0, 2).map(one => one.decode())); return cells[0].naturalWidth }""")
    assert widths > 30
    # A click while the page is drawn anew meets a button that is about to be replaced
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    page.get_by_role("button", name="Keep").first.click()
    page.get_by_role("button", name="Kept").first.wait_for()
    page.get_by_role("link", name="Kept hits").click()
    page.get_by_role("heading", name="Kept hits").wait_for()
    page.get_by_role("button", name="Save").wait_for()


def test_a_shared_address_opens_its_result_or_says_what_is_wrong_and_a_hostile_name_stays_text(server, page):
    page.goto(f"{server}/?bundle=bundle+%282%29&molecule=CCO&top=50")
    page.get_by_text("Phenotypes, best first").wait_for()
    page.get_by_text("<script>alert(1)").first.wait_for()
    page.goto(f"{server}/?molecule=C1CC")
    page.get_by_text("not a valid SMILES").wait_for()


def test_a_result_is_shared_and_printed(server, page, tmp_path):
    page.goto(f"{server}/?molecule=CCO&top=2")
    page.get_by_role("button", name="Share").click()
    page.get_by_text("--smiles CCO --top-k 2").wait_for()
    page.keyboard.press("Escape")
    with page.expect_download() as download:
        page.get_by_role("button", name="Report").click()
    report = Path(download.value.path()).read_text(encoding="utf-8")
    assert "Simulated screen" in report
    assert "--smiles CCO --top-k 2" in report
    assert "http" not in report.replace("http://www.w3.org", "").replace("http://www.rdkit.org/xml", "")


def test_a_drawn_molecule_is_asked(server, page):
    if importlib.util.find_spec("streamlit_jsme") is None:
        pytest.skip("streamlit-jsme is not installed")
    page.goto(f"{server}/?molecule=cpd+3&top=1")
    page.get_by_text("Phenotypes, best first").wait_for()
    page.get_by_text("Draw the molecule").click()
    page.locator("#jsme_wrapper canvas, #jsme_wrapper svg").first.wait_for(state="attached")
    page.locator("#jsme_apply_btn").click()
    page.wait_for_function("() => /molecule=[^&]*c1/.test(decodeURIComponent(location.search))")
    page.get_by_text("Searched as typed").wait_for()


def test_a_well_on_the_map_finds_molecules(server, page):
    page.goto(f"{server}/phenotype_to_molecules")
    page.locator(".scatterlayer .point").nth(3).click(force=True)
    page.get_by_text("Molecules, best first").wait_for()
    assert "entry=" in page.url
    page.get_by_role("button", name="Its phenotypes").first.click()
    page.get_by_text("Phenotypes, best first").wait_for()


def test_images_of_ones_own_are_read(server, page):
    page.goto(f"{server}/phenotype_to_molecules")
    page.get_by_text("My own").click()
    files = []
    for number, channel in enumerate(CHANNELS):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, np.random.default_rng(number).poisson(300, (48, 48)).astype(np.uint16))
        files.append({"name": f"mine_{channel}.tif", "mimeType": "image/tiff", "buffer": buffer.getvalue()})
    page.locator("input[type=file]").first.set_input_files(files)
    page.get_by_alt_text("Your cells, as the model reads them").wait_for()
    page.get_by_text("Molecules, best first").wait_for()


def test_a_row_of_ones_own_profiles_is_read(server, page, profile_bundle):
    features = pd.read_json(profile_bundle / "profile_features.json")[0].tolist()
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(2, len(features))), columns=features)
    page.goto(f"{server}/phenotype_to_molecules?bundle=bundle+%282%29")
    page.get_by_text("My own").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.csv", "mimeType": "text/csv", "buffer": table.to_csv(index=False).encode()})
    page.get_by_text("Molecules, best first").wait_for()


def test_a_well_is_imagined_under_a_molecule_and_without_treatment(server, page):
    page.goto(f"{server}/counterfactual?well=P1:A03&molecule=CCO")
    page.get_by_text("predicted, never measured").first.wait_for()
    settled(page)
    page.get_by_text("Remove its treatment").click()
    page.get_by_text("under no treatment").first.wait_for()


def test_several_pasted_molecules_go_to_the_batch_page(server, page):
    page.goto(server)
    page.get_by_label("Molecule", exact=True).fill("CCO c1ccccc1 CCN")
    page.get_by_role("button", name="Search", exact=True).click()
    page.get_by_role("button", name="Ask all 3").click()
    page.get_by_role("heading", name="Batch").wait_for()
    settled(page)
    assert page.get_by_label("Or paste SMILES").input_value().split() == ["CCO", "c1ccccc1", "CCN"]


def test_a_batch_runs_and_is_taken_along(server, page):
    page.goto(f"{server}/batch")
    page.locator("input[type=file]").set_input_files(
        {"name": "mine.csv", "mimeType": "text/csv", "buffer": b"id,smiles\n1,CCO\n2,C1CC\n3,=1+1\n"})
    page.get_by_text("mine.csv").wait_for()
    page.get_by_role("button", name="Search all").click()
    page.get_by_text("could not be read").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    table = pd.read_csv(download.value.path())
    assert table["query"].unique().tolist() == ["CCO", "C1CC", "'=1+1"]
    assert (table["status"] == "error").sum() == 2


def test_points_that_are_drawn_around_become_a_table(server, page):
    page.goto(f"{server}/explore")
    area = page.locator(".js-plotly-plot .nsewdrag").first
    area.wait_for()
    settled(page)
    box = area.bounding_box()
    corners = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98), (0.02, 0.03)]
    page.mouse.move(box["x"] + box["width"] * 0.02, box["y"] + box["height"] * 0.02)
    page.mouse.down()
    for x, y in corners[1:]:
        page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y, steps=10)
    page.mouse.up()
    page.get_by_text("Mark a phenotype to open it").wait_for()


def barriers(page):
    """Serious ones that axe finds with its default rules, where it is installed."""
    if importlib.util.find_spec("axe_playwright_python") is None:
        return []
    from axe_playwright_python.sync_playwright import Axe

    return [(page.url, broken["id"], broken["nodes"][0]["html"][:200])
            for broken in Axe().run(page).response["violations"] if broken["impact"] in BAD]


@pytest.mark.parametrize("page", ["light"], indirect=True)
def test_every_page_opens_by_its_own_address_without_serious_barriers(server, page):
    found = []
    for address in PAGES:
        page.goto(f"{server}/{address}")
        page.get_by_role("heading", level=1).wait_for()
        settled(page)
        page.get_by_text("SIMULATED").wait_for()
        found += barriers(page)
    assert found == []


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_results_are_without_serious_barriers_and_every_picture_is_told_in_words(server, page, image_bundle):
    """Results, not empty pages: hits with factors, molecules of a well, a counterfactual, two molecules, a batch."""
    entry = pd.read_parquet(image_bundle / "entries.parquet")["entry_key"][4]
    found, silent = [], []

    def look():
        page.mouse.move(0, 0)
        page.wait_for_timeout(1500)  # what a page that ran again had dimmed is fading in
        settled(page)
        found.extend(barriers(page))
        silent.extend(page.evaluate("""() => [...document.querySelectorAll('[data-testid=stMain] img')]
            .filter(one => !(one.getAttribute('alt') || '').trim()).map(one => one.outerHTML.slice(0, 200))"""))

    page.goto(f"{server}/?molecule=CCO&top=2")
    page.get_by_role("button", name="Factors", exact=True).first.click()
    page.get_by_text("Factors of this phenotype").wait_for()
    look()
    page.goto(f"{server}/phenotype_to_molecules?entry={quote(entry)}")
    page.get_by_text("Molecules, best first").wait_for()
    look()
    page.goto(f"{server}/counterfactual?well=P1:A03&molecule=CCO")
    page.get_by_text("predicted, never measured").first.wait_for()
    look()
    page.goto(f"{server}/compare?first=CCO&second=CCN")
    page.get_by_text("are found by both").wait_for()
    look()
    page.goto(f"{server}/explore")
    page.get_by_label("Find", exact=True).fill("tubulin")
    page.keyboard.press("Enter")
    page.get_by_text("Mark a phenotype to open it").wait_for()
    look()
    page.goto(f"{server}/batch")
    page.get_by_label("Or paste SMILES").fill("CCO\nC1CC")
    page.get_by_role("button", name="Search all").click()
    page.get_by_text("could not be read").wait_for()
    look()
    assert found == []
    assert silent == []
