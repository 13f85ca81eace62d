"""A counterfactual as files: one HTML page that asks for nothing, pictures, and tables."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader
from numpy.typing import NDArray

from dssl_bio import __version__
from dssl_bio.artefact import written_whole
from dssl_bio.chem.depict import svg
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import DsslBioError, MoleculeError
from dssl_bio.imaging.compose import colour_of, composite, enlarged, png, with_scale_bar
from dssl_bio.imaging.difference import difference, side_by_side
from dssl_bio.screens.entries import ENTRY_KEY
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, MOA, PLATE, ROW_KEY, WELL

if TYPE_CHECKING:
    from dssl_bio.learning.decoders.decoder import Decoder
    from dssl_bio.retrieval.bundle import Bundle
    from dssl_bio.retrieval.counterfactual import Counterfactual

PAGE, CHANGES, SERIES = "counterfactual.html", "changes.csv", "versions.csv"
PICTURE_PX, SHOWN = 256, 15


def write_counterfactual(folder: Path, bundle: "Bundle", decoder: "Decoder", found: "Counterfactual",
                         molecule: Molecule | None, command: str = "") -> None:
    """Writes counterfactual.html, changes.csv, versions.csv and, of images, PNG files; an earlier answer is replaced.

    Raises:
        DsslBioError: the folder holds something else.
    """
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / PAGE).is_file())):
        raise DsslBioError(f"{folder} exists and holds no counterfactual that may be replaced; choose another place")
    spread = decoder.profile.spread.numpy()
    changes = found.changes(decoder.facts.features, spread)
    with written_whole(folder) as work:
        work.mkdir()
        changes.to_csv(work / CHANGES, index=False)
        versions(found, decoder.facts.features).to_csv(work / SERIES, index=False)
        pictures = pictures_of(found, decoder.facts.channels, decoder.facts.pixel_size_um)
        for name, rgb, _ in pictures:
            (work / f"{name}.png").write_bytes(png(rgb))
        if pictures:
            (work / "together.png").write_bytes(png(side_by_side([rgb for _, rgb, _ in pictures])))
        (work / PAGE).write_text(_page(bundle, decoder, found, molecule, changes, pictures, command),
                                 encoding="utf-8")


def versions(found: "Counterfactual", names: tuple[str, ...]) -> pd.DataFrame:
    """Every feature of the well as measured and of every version: version, feature, value, low, high."""
    parts = [pd.DataFrame({"version": "measured", "feature": names, "value": found.before})]
    for one in found.versions:
        parts.append(pd.DataFrame({"version": one.name or "predicted", "feature": names, "value": one.features,
                                   "low": one.low, "high": one.high}))
    return pd.concat(parts, ignore_index=True)


def pictures_of(found: "Counterfactual", channels: tuple[str, ...], pixel_size_um: float,
                shown: list[str] | None = None) -> list[tuple[str, NDArray[np.uint8], str]]:
    """Name, RGB and caption of the control, the well, its versions and their differences; none for profiles.

    Args:
        found: a counterfactual.
        channels: names.
        pixel_size_um: for the scale bar.
        shown: channels to lay over each other; all by default.
    """
    if found.picture is None:
        return []

    def drawn(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
        rgb = enlarged(composite((np.clip(picture, 0, 1) * 255).round().astype(np.uint8), channels, shown), PICTURE_PX)
        return with_scale_bar(rgb, pixel_size_um * picture.shape[2] / rgb.shape[1]) if pixel_size_um > 0 else rgb

    result = [("measured", drawn(found.picture), "as measured")]
    if found.control is not None:
        result.insert(0, ("control", drawn(found.control), "negative control of the same plate, as measured"))
    one = channels.index(shown[0]) if shown is not None and len(shown) == 1 else None
    for number, version in enumerate(found.versions, start=1):
        assert version.picture is not None
        last = f"_{number}" if len(found.versions) > 1 else ""
        what = ", ".join(filter(None, (found.treatment, version.name)))
        result.append((f"predicted{last}", drawn(version.picture), f"predicted: {what}"))
        changed = enlarged(difference(found.picture, version.picture, one), PICTURE_PX)
        result.append((f"difference{last}", changed, "difference" + (f": {version.name}" if version.name else "")))
    return result


def facts_of(found: "Counterfactual") -> str:
    """What is known of the well, in words."""
    well = found.well

    def told(column: str, form: str = "{}") -> str:
        return form.format(well[column]) if column in well and pd.notna(well[column]) else ""

    return ", ".join(filter(None, (told(PLATE, "plate {}"), told(WELL, "well {}"), told(COMPOUND, "got {}"),
                                   told(DOSE_UM, "at {:g} µM"), told(MOA))))


def _page(bundle: "Bundle", decoder: "Decoder", found: "Counterfactual", molecule: Molecule | None,
          changes: pd.DataFrame, pictures: list[tuple[str, NDArray[np.uint8], str]], command: str) -> str:
    drawing = ""
    if molecule is not None:
        try:
            drawing = svg(molecule, 320, 210).split("?>", 1)[-1]
        except MoleculeError:
            drawing = ""
    channels = decoder.facts.channels
    template = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
                           lstrip_blocks=True).get_template(PAGE)
    told = [{"address": "data:image/png;base64," + base64.b64encode(png(rgb)).decode(), "caption": caption}
            for _, rgb, caption in pictures]
    return template.render(
        well=found.well[ROW_KEY], found=found, facts=facts_of(found), simulated=bundle.simulated, drawing=drawing,
        pictures=told, key=[(name, "rgb({},{},{})".format(*colour_of(name, channels))) for name in channels],
        rows=[_bar(row) for row in changes.head(SHOWN).to_dict("records")], n_sure=int(changes["sure"].sum()),
        n_features=len(changes), percentile=found.nearest.attrs["percentile"],
        nearest=friendly(found.nearest).to_html(index=False, border=0, float_format="%.3f", na_rep=""),
        behind=found.behind.to_html(index=False, border=0, float_format="%.3g", na_rep="") if len(found.behind) else "",
        command=command, version=__version__, model=bundle.run.id, created=datetime.now(UTC).isoformat("T", "seconds"))


def friendly(table: pd.DataFrame) -> pd.DataFrame:
    """Nearest phenotypes under headings that a person reads."""
    return table.rename(columns={ENTRY_KEY: "entry", COMPOUND: "compound", DOSE_UM: "dose (µM)", MOA: "mechanism"})


def _bar(row: dict[str, Any]) -> dict[str, Any]:
    """Places of interval, measured and predicted value on a bar, in per cent of its width."""
    low, high = min(row["low"], row["before"]), max(row["high"], row["before"])
    length = max(high - low, 1e-12)

    def at(value: float) -> float:
        return round(2 + 94 * (value - low) / length, 1)

    return {**row, "left": at(row["low"]), "width": round(at(row["high"]) - at(row["low"]), 1),
            "at_before": at(row["before"]), "at_predicted": at(row["predicted"])}
