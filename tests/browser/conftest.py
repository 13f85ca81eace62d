"""A served application and a browser, once for all; each test has its own page and looks at what it asked for."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.app.tiny_bundles import image_bundle, profile_bundle
from tests.retrieval.decoded import with_decoder

__all__ = ["image_bundle", "profile_bundle"]

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync"]
PATIENCE_MS = 60_000
START_S = 90


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(bundles: Sequence[Path], port: int, *words: str) -> Iterator[str]:
    """The address of `dssl-bio serve BUNDLES WORDS` while it runs."""
    line = [sys.executable, "-c", "from dssl_bio.pipelines.main import main; main()", "serve", *map(str, bundles),
            "--port", str(port), "--no-browser", *words]
    process = subprocess.Popen(line, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True)
    address = f"http://localhost:{port}"
    try:
        until = time.monotonic() + START_S
        while True:
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()
                break
            except OSError:
                assert time.monotonic() < until and process.poll() is None, "the server did not start"
                time.sleep(0.25)
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="session")
def server(profile_bundle, image_bundle, tmp_path_factory):
    """Address of a server of both bundles: `bundle` holds images and a decoder, `bundle (2)` profiles."""
    pictured = with_decoder(image_bundle, image_bundle.parent / "screen", tmp_path_factory.mktemp("pictured"))
    with served([pictured, profile_bundle], free_port()) as address:
        yield address


@pytest.fixture(scope="session")
def themes():
    """A browser's context for each theme; its pages share what was downloaded."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
        yield {theme: browser.new_context(color_scheme=theme, viewport={"width": 1300, "height": 1000},
                                          accept_downloads=True) for theme in ("light", "dark")}
        browser.close()


@pytest.fixture(params=["light"])
def page(themes, request):
    """A page; at the end no request went elsewhere and the console told no error."""
    elsewhere, errors = [], []
    opened = themes[request.param].new_page()
    opened.set_default_timeout(PATIENCE_MS)
    opened.on("request", lambda asked: urlsplit(asked.url).hostname in ("localhost", "127.0.0.1", None)
              or elsewhere.append(asked.url))
    opened.on("console", lambda message: message.type == "error" and errors.append(message.text))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    opened.close()
    assert elsewhere == []
    assert errors == []


def settled(page):
    """Waits until the page has run to its end."""
    page.wait_for_function("() => document.querySelector('[data-testid=stApp]')"
                           "?.getAttribute('data-test-script-state') === 'notRunning'")
