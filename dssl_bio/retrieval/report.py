"""One query on one page that can be printed: HTML that holds its pictures and asks for nothing."""

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader

from dssl_bio import __version__
from dssl_bio.chem.depict import svg
from dssl_bio.errors import MoleculeError
from dssl_bio.imaging.compose import colour_of, composite, enlarged, png, scale_bar_um, with_scale_bar
from dssl_bio.retrieval.families import Usual, typical_entries
from dssl_bio.retrieval.lookup import Identified
from dssl_bio.retrieval.pictures import control_picture, entry_picture
from dssl_bio.screens.entries import ENTRY_KEY
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, MOA, MOLECULE_ID, PLATE, WELL

if TYPE_CHECKING:
    from dssl_bio.retrieval.bundle import Bundle
    from dssl_bio.retrieval.pictures import Shown
    from dssl_bio.retrieval.search import Hit

PICTURE_PX = 240
PICTURED = 6


def query_report(bundle: "Bundle", identified: Identified, hits: "Sequence[Hit]", *, notes: Sequence[str] = (),
                 warning: str = "", command: str = "", definitions: Mapping[str, str] | None = None) -> str:
    """A page with a molecule, its hits, and pictures or changed features of the first six.

    Args:
        bundle: that was searched.
        identified: the molecule.
        hits: best first.
        notes: sentences under the structure.
        warning: stands on top, such as that the screen is simulated.
        command: the line that gives the same hits again.
        definitions: what the numbers mean.
    """
    try:
        drawing = svg(identified.molecule, 360, 240).split("?>", 1)[-1]
    except MoleculeError:
        drawing = ""
    template = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
                           lstrip_blocks=True).get_template("report.html")
    channels = bundle.run.facts.channels
    features = bundle.run.facts.features
    usual = Usual.of(features, typical_entries(bundle.profiles)) if bundle.profiles is not None else None
    rows = [_row(bundle, hit) for hit in hits]
    for hit, row in zip(hits[:PICTURED], rows, strict=False):
        row["pictures"] = _pictures(bundle, hit.entry)
        row["families"] = [] if usual is None or bundle.profiles is None else usual.most_changed(
            bundle.profiles[hit.entry], 5).to_dict("records")
    return template.render(
        bundle=bundle, identified=identified, drawing=drawing, hits=rows, notes=notes, warning=warning,
        command=command, definitions=definitions or {}, null=bundle.null, version=__version__,
        pictured=[row for row in rows if row.get("pictures") or row.get("families")],
        key=[(name, "rgb({},{},{})".format(*colour_of(name, channels))) for name in channels],
        bar=_bar(bundle), created=datetime.now(UTC).isoformat("T", "seconds"))


def _row(bundle: "Bundle", hit: "Hit") -> dict[str, Any]:
    entry = bundle.entries.iloc[hit.entry]

    def text(column: str) -> str:
        return "" if column not in entry or pd.isna(entry[column]) else str(entry[column]).replace(";", ", ")

    at_floor = hit.p <= bundle.null.resolution * (1 + 1e-9)
    dose = float(entry[DOSE_UM]) if text(DOSE_UM) else None
    return {"rank": hit.rank, "name": text(COMPOUND) or text(MOLECULE_ID) or str(entry[ENTRY_KEY]),
            "dose": "" if dose is None else f"{dose:g} µM", "plate": text(PLATE), "well": text(WELL),
            "mechanism": text(MOA), "score": f"{hit.score:.3f}",
            "p": f"not resolvable (below {bundle.null.resolution:.2g})" if at_floor else f"{hit.p:.3g}",
            "q": f"{'at most ' if at_floor else ''}{hit.q:.3g}"}


def _pictures(bundle: "Bundle", entry: int) -> list[dict[str, str]]:
    treated = entry_picture(bundle, entry)
    if treated is None:
        return []
    control = control_picture(bundle, treated.plate)
    shown = [("treated", treated), *([("negative control", control)] if control is not None else [])]
    return [{"address": _data(bundle, picture), "caption": f"{what}, {picture.place}".rstrip(", ")}
            for what, picture in shown]


def _data(bundle: "Bundle", picture: "Shown") -> str:
    facts = bundle.run.facts
    rgb = enlarged(composite(picture.pixels, facts.channels), PICTURE_PX)
    if facts.pixel_size_um > 0:
        rgb = with_scale_bar(rgb, facts.pixel_size_um * picture.pixels.shape[2] / rgb.shape[1])
    return "data:image/png;base64," + base64.b64encode(png(rgb)).decode()


def _bar(bundle: "Bundle") -> str:
    """What the bar in a bundle's pictures measures; nothing where that is not known."""
    size = bundle.run.facts.pixel_size_um
    if bundle.pictures is None or size <= 0:
        return ""
    return f"bar {scale_bar_um(bundle.pictures.shape[3], size):g} µm"
