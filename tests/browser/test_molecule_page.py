"""The application in a real browser: type, search, look; nothing leaves the machine."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from urllib.parse import urlsplit

import pytest

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium (apt-get install chromium)"),
]

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PORT = 8799
ADDRESS = f"http://localhost:{PORT}"


@pytest.fixture(scope="module")
def server(profile_bundle, image_bundle):
    line = [sys.executable, "-c", "from dssl_bio.pipelines.main import main; main()", "serve", str(image_bundle),
            str(profile_bundle), "--port", str(PORT), "--no-browser"]
    process = subprocess.Popen(line, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{ADDRESS}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.25)
        yield ADDRESS
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


@pytest.fixture
def page(server):
    """A page; at the end no request went elsewhere and the console told no error."""
    sync_api = pytest.importorskip("playwright.sync_api")
    elsewhere, errors = [], []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        opened = browser.new_page()
        opened.on("request", lambda request: urlsplit(request.url).hostname in ("localhost", "127.0.0.1", None)
                  or elsewhere.append(request.url))
        opened.on("console", lambda message: message.type == "error" and errors.append(message.text))
        opened.on("pageerror", lambda error: errors.append(str(error)))
        yield opened
        browser.close()
    assert elsewhere == []
    assert errors == []


def test_typing_a_molecule_shows_hits_beside_untreated_cells(server, page):
    page.goto(server)
    page.get_by_label("Molecule", exact=True).fill("Nc1ccccc1.Cl", timeout=60_000)
    page.get_by_role("button", name="Search").click()
    page.get_by_text("kept the largest fragment").wait_for(timeout=60_000)
    page.get_by_alt_text("Untreated cells of the same plate").first.wait_for()
    assert "molecule=Nc1ccccc1.Cl" in page.url
    before = page.get_by_alt_text("Cells treated with").first.get_attribute("src")
    page.get_by_role("button", name="DNA", exact=True).click()
    page.wait_for_function("src => document.querySelector('img[alt^=\"Cells treated\"]').getAttribute('src') != src",
                           arg=before)


def test_a_shared_address_opens_its_result_and_a_hostile_name_stays_text(server, page):
    page.goto(f"{server}/?bundle=bundle+%282%29&molecule=CCO&top=50")
    page.get_by_text("Phenotypes, best first").wait_for(timeout=60_000)
    page.get_by_text("<script>alert(1)").first.wait_for()


def test_a_bad_molecule_gets_a_sentence(server, page):
    page.goto(f"{server}/?molecule=C1CC")
    page.get_by_text("not a valid SMILES").wait_for(timeout=60_000)
