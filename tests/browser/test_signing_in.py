"""Signing in through a provider, as a person in a browser does."""

import importlib.util
import shutil
import urllib.error
import urllib.request

import pytest

from tests.browser.conftest import free_port, served, settled
from tests.browser.provider import CLIENT, SECRET, running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium (apt-get install chromium)"),
    pytest.mark.skipif(importlib.util.find_spec("authlib") is None, reason="needs authlib"),
]


@pytest.fixture(scope="module")
def guarded(image_bundle, tmp_path_factory):
    """Address of a server where the provider's only user may enter."""
    port = free_port()
    with running(free_port(), "ann@lab.org") as issuer:
        file = tmp_path_factory.mktemp("oidc") / "secrets.toml"
        file.write_text(
            f'[auth]\nredirect_uri = "http://localhost:{port}/oauth2callback"\ncookie_secret = "{"x" * 40}"\n'
            f'client_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
            f'server_metadata_url = "{issuer}/.well-known/openid-configuration"\n[access]\nemails = ["ann@lab.org"]\n')
        with served([image_bundle], port, "--oidc", str(file)) as address:
            yield address


def status(address):
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_nothing_is_shown_before_and_everything_after_and_nothing_after_that(guarded, page):
    page.goto(f"{guarded}/?molecule=CCO&top=2")
    page.get_by_text("people who have signed in").wait_for()
    settled(page)
    assert page.get_by_label("Molecule", exact=True).count() == 0
    assert page.get_by_role("link", name="Explore").count() == 0
    assert status(f"{guarded}/pictures/bundle/0.png") == 401
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("ann@lab.org").wait_for()
    page.get_by_label("Molecule", exact=True).fill("CCO")
    page.keyboard.press("Enter")
    picture = page.get_by_alt_text("Cells treated with").first
    picture.wait_for()
    assert status(f"{guarded}/{picture.get_attribute('src')}") == 200
    assert picture.evaluate("async one => { await one.decode(); return one.naturalWidth }") > 30
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("people who have signed in").wait_for()
    assert page.get_by_label("Molecule", exact=True).count() == 0
