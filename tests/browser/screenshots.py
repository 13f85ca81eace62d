"""Pictures of every page of a served bundle, light and dark, wide and narrow, to look at.

    python tests/browser/screenshots.py BUNDLE OUT [--molecule TEXT] [--readme app/screenshots]

With --readme some of them are also made small for the README, from a simulated bundle only; the counterfactual is
among them where the bundle has a decoder.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from PIL import Image
from playwright.sync_api import sync_playwright

CHROMIUM = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
SIZES = {"wide": 1400, "narrow": 420}
MAX_HEIGHT = 3_000
READY = "() => document.querySelector('[data-testid=stApp]')?.getAttribute('data-test-script-state') === 'notRunning'"


README = {"molecule": "molecule_to_phenotypes", "phenotype": "phenotype_to_molecules", "explore": "explore",
          "counterfactual": "counterfactual"}
README_HEIGHT, README_WIDTH, README_COLOURS = 1_700, 1_000, 256


def small(picture: Path, out: Path) -> None:
    """The top of a page in few colours, for a README."""
    with Image.open(picture) as whole:
        top = whole.convert("RGB").crop((0, 0, whole.width, min(whole.height, README_HEIGHT)))
        top = top.resize((README_WIDTH, round(top.height * README_WIDTH / top.width)), Image.Resampling.LANCZOS)
        top.quantize(README_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out, optimize=True)


def addresses(bundle: Path, molecule: str | None) -> dict[str, str]:
    """Name and address of what is worth a picture."""
    entries = pd.read_parquet(bundle / "entries.parquet")
    library = pd.read_parquet(bundle / "molecules.parquet")
    held_out = library[library["split"] == "test"] if (library["split"] == "test").any() else library
    held_out = held_out["Metadata_SMILES"].tolist()
    first, second = quote(molecule or held_out[0], safe=""), quote(held_out[-1], safe="")
    entry = quote(str(entries["entry_key"][0]), safe="")
    wells = pd.read_parquet(bundle / "wells.parquet")
    untreated = wells[wells["Metadata_pert_type"] == "negcon"]
    well = quote(str((untreated if len(untreated) else wells)["row_key"].iloc[0]), safe="")
    return {"start": "", "molecule_to_phenotypes": f"?molecule={first}&top=4",
            "phenotype_to_molecules": f"phenotype_to_molecules?entry={entry}", "explore": "explore",
            "compare": f"compare?first={first}&second={second}",
            "counterfactual": f"counterfactual?well={well}&molecule={first}",
            "batch": "batch", "kept_hits": "kept_hits", "model_card": "model_card"}


def main() -> None:
    """Serves the bundle and takes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--molecule")
    parser.add_argument("--readme", type=Path)
    asked = parser.parse_args()
    if asked.readme and not json.loads((asked.bundle / "bundle.json").read_text())["simulated"]:
        parser.error("pictures of the README are of a simulated bundle, and say so")
    asked.out.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, "-c", "from dssl_bio.pipelines.main import main; main()", "serve", str(asked.bundle),
            "--port", str(port), "--no-browser"]
    process = subprocess.Popen(line, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True)
    try:
        for _ in range(400):
            try:
                urllib.request.urlopen(f"http://localhost:{port}/_stcore/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM)
            for size, width in SIZES.items():
                for theme in ("light", "dark"):
                    page = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900}).new_page()
                    page.set_default_timeout(90_000)
                    for name, address in addresses(asked.bundle, asked.molecule).items():
                        page.set_viewport_size({"width": width, "height": 900})
                        page.goto(f"http://localhost:{port}/{address}")
                        page.get_by_role("heading", level=1).wait_for()
                        page.wait_for_timeout(1_000)
                        page.wait_for_function(READY)
                        height = page.evaluate("() => document.querySelector('[data-testid=stMain]').scrollHeight")
                        page.set_viewport_size({"width": width, "height": min(int(height), MAX_HEIGHT)})
                        page.wait_for_timeout(800)
                        page.screenshot(path=asked.out / f"{name}_{size}_{theme}.png")
            browser.close()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)
    shown = {name: page for name, page in README.items()
             if page != "counterfactual" or (asked.bundle / "decoder").exists()}
    for name, page in shown.items() if asked.readme else ():
        asked.readme.mkdir(parents=True, exist_ok=True)
        small(asked.out / f"{page}_wide_light.png", asked.readme / f"{name}.png")
    print(f"{len(list(asked.out.glob('*.png')))} pictures in {asked.out}")


if __name__ == "__main__":
    main()
