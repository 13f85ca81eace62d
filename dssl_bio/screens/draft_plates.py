"""A first manifest for OME-Zarr plates, guessed from what the plates say of themselves and a plate map beside them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dssl_bio.errors import ImageError, ManifestError
from dssl_bio.imaging.ome_zarr import SUFFIX, channel_names, header, pixel_size_um
from dssl_bio.imaging.stains import channel_in_name
from dssl_bio.screens.expressions import as_text
from dssl_bio.screens.seen_tables import CONTROLS, Seen, guessed
from dssl_bio.screens.sources.ome_zarr import FILE_COLUMN, is_plate, plate_table
from dssl_bio.vocabulary import CHANNELS, COMPOUND, MOA, PLATE, SMILES, WELL, well_name

GUESSED_UM = 0.65
MOST_CONTROLS = 400


@dataclass(frozen=True)
class PlateMap:
    """A table that says what wells received.

    Attributes:
        name: relative to the folder of the plates.
        well: column of the well.
        smiles: column of the structure; None without.
        compound: column of the name; None without.
        moa: column of the mechanism; None without.
        controls: wells of negative controls, in the spelling of the plates.
    """

    name: str
    well: str
    smiles: str | None
    compound: str | None
    moa: str | None
    controls: tuple[str, ...]


def plate_map(table: Seen) -> PlateMap | None:
    """What a table says of wells; None where it has none, or tells plates apart, which one join by well cannot."""
    words = guessed(table)
    if WELL not in words or not {SMILES, COMPOUND} & set(words):
        return None
    if PLATE in words and table.rows[words[PLATE]].nunique() > 1:
        return None
    compound = as_text(table.rows[words.get(COMPOUND, words[WELL])])
    names = as_text(table.rows[words[WELL]])
    control = compound.isin(CONTROLS) if COMPOUND in words else np.zeros(len(names), dtype=bool)
    return PlateMap(table.name, words[WELL], words.get(SMILES), words.get(COMPOUND), words.get(MOA),
                    tuple(dict.fromkeys(_spelt(name) for name in names[control])))


def _spelt(name: str) -> str:
    try:
        return well_name(name)
    except ValueError:
        return name


def plates_in(path: Path) -> list[Path]:
    """OME-Zarr plates: the path itself, or those that lie directly in it."""
    if is_plate(path):
        return [path]
    return sorted(inner for inner in path.glob(f"*{SUFFIX}") if is_plate(inner)) if path.is_dir() else []


def images_of_plates(plates: Sequence[Path], beside: int) -> str:
    """The `[images]` section: channels and pixel size as the first field of the first plate says.

    Args:
        plates: at least one, all in one folder.
        beside: how many other folders there end with .zarr and are no plates.

    Raises:
        ManifestError: no plate, no field, or its image cannot be read.
    """
    fields = plate_table(plates[0])
    if not len(fields):
        raise ManifestError(f"{plates[0]} has no field of view")
    first = plates[0].parent / str(fields[FILE_COLUMN].iloc[0])
    try:
        n_channels, labels, size = header(first).n_planes, channel_names(first), pixel_size_um(first)
    except ImageError as problem:
        raise ManifestError(str(problem)) from problem
    tables = [plate.name for plate in plates]
    table = json.dumps(tables[0]) if len(tables) == 1 else ("[" + ", ".join(map(json.dumps, tables)) + "]" if beside
                                                             else f'"*{SUFFIX}"')
    channels, doubt = _channels(n_channels, labels)
    lines = [f"[images]\ntable = {table}   # {len(plates)} OME-Zarr {'plate' if len(plates) == 1 else 'plates'}; "
             f"{len(fields)} fields in {plates[0].name}",
             f'file = "{FILE_COLUMN}"              # each field is an image of all channels']
    lines.append(f"pixel_size_um = {size:.6g}      # as the images say" if size else
                 f"pixel_size_um = {GUESSED_UM}      # a guess: the images do not say")
    if len(channels) < len(CHANNELS):
        lines.append("some_channels = true      # only these were recognised")
    told = ", ".join(f"{number} {label!r}" for number, label in enumerate(labels)) or "none"
    lines.append(f"\n[images.channels]         # number of each stain; labels of the images: {told}{doubt}")
    lines += [f"{channel} = {number}" for channel, number in channels.items()]
    return "\n".join(lines) + "\n"


def annotations_of_plates(found: PlateMap | None) -> str:
    """The sections `[controls]` and `[molecules]`: a plate does not say what its wells received."""
    if found is None:
        return ("# [controls]              # the plates do not say what their wells received\n"
                f"# where = '{WELL} in (\"A01\", \"B01\")'\n"
                "# [molecules]             # a table that gives structures to wells\n"
                '# table = "platemap.csv"\n'
                f'# on = {{ left = "{WELL}", right = "well" }}\n# smiles = "smiles"\n')
    parts = []
    if 0 < len(found.controls) <= MOST_CONTROLS:
        wells = ", ".join(f'"{well}"' for well in found.controls)
        parts.append(f"[controls]                # as {found.name} says\nwhere = '{WELL} in ({wells})'\n")
    else:
        parts.append(f"# [controls]              # none were recognised in {found.name}\n"
                     f"# where = '{WELL} in (\"A01\", \"B01\")'\n")
    if found.smiles is None:
        parts.append(f"# [molecules]             # no structures were recognised in {found.name}\n")
    else:
        right = json.dumps(found.well, ensure_ascii=False)
        lines = [f"[molecules]               # what each well received, the same on all plates\n"
                 f"table = {json.dumps(found.name, ensure_ascii=False)}",
                 f'on = {{ left = "{WELL}", right = {right} }}   # wells as A01']
        for word, column in (("smiles", found.smiles), ("compound", found.compound), ("moa", found.moa)):
            if column is not None:
                lines.append(f"{word} = {json.dumps(column, ensure_ascii=False)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _channels(n_channels: int, labels: list[str]) -> tuple[dict[str, int], str]:
    """Number of each stain by the labels; in the usual order, with a warning, where these tell none."""
    named: dict[str, int] = {}
    for number, label in enumerate(labels[:n_channels]):
        channel = channel_in_name(label)
        if channel is not None and channel not in named:
            named[channel] = number
    if named:
        return {channel: named[channel] for channel in CHANNELS if channel in named}, ""
    return dict(zip(CHANNELS, range(n_channels), strict=False)), "; they tell no stain, so the ORDER IS A GUESS"
