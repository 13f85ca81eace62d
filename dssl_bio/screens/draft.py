"""A first manifest, guessed from the names and values of tables; every guess carries a comment to check it by."""

import json
import re
from pathlib import Path

from dssl_bio.errors import ManifestError
from dssl_bio.screens.draft_plates import annotations_of_plates, images_of_plates, plate_map, plates_in
from dssl_bio.screens.expressions import as_text
from dssl_bio.screens.seen_tables import CONTROLS, DOSE, Seen, guessed, is_number, look
from dssl_bio.screens.sources.ome_zarr import is_plate
from dssl_bio.screens.tables import SUFFIXES
from dssl_bio.vocabulary import CHANNELS, COMPOUND, PERT_TYPE, PLATE, SMILES, WELL

MAX_TABLES = 200
FEW_FEATURES = 5
"""Fewer numbers than this, with one beginning of their names, are taken for annotations."""

_UNITS = {"m": "M", "mm": "mM", "um": "uM", "nm": "nM", "pm": "pM"}


def draft(path: Path) -> str:
    """A manifest (TOML text) guessed from a table or from the tables of a folder.

    Raises:
        ManifestError: no table, or none with features or image files.
    """
    if not path.exists():
        raise ManifestError(f"no such file or folder: {path}")
    root = root_of(path)
    if plates := plates_in(path):
        return _of_plates(path, root, plates)
    seen = [look(found, root) for found in _tables(path)]
    image_tables = [table for table in seen if table.channel_columns()]
    profile_tables = [table for table in seen if not table.channel_columns() and len(table.features()) >= FEW_FEATURES]
    if not image_tables and not profile_tables:
        raise ManifestError(f"{path}: no table with image files (columns such as FileName_OrigDNA) and none with "
                            f"at least {FEW_FEATURES} columns of numbers; found {', '.join(t.name for t in seen)}")
    main = _main(profile_tables, image_tables)
    words = guessed(main)
    keys = {words[word] for word in (PLATE, WELL) if word in words} if WELL in words else set()
    profile_tables = [table for table in profile_tables if keys <= set(table.columns)]
    image_tables = [table for table in image_tables if keys <= set(table.columns)][:1]
    for table in [*profile_tables, *image_tables]:
        words.update({word: column for word, column in guessed(table).items() if word not in words})
    strays = sorted({name for table in profile_tables for name in _grouped(table)[1]})
    parts = [_head(root, path), _key(words), _annotations(strays), _columns(words), _constants(words),
             _controls(main, words), _dose(main)]
    parts += [_profiles(table, number) for number, table in enumerate(profile_tables)]
    parts += [_images(table, root) for table in image_tables]
    used = {table.name for table in [*profile_tables, *image_tables]}
    others = [table.name for table in seen if table.name not in used]
    parts.append(f"# Not used: {', '.join(others)}\n" if others else "")
    return "\n".join(part for part in parts if part)


def root_of(path: Path) -> Path:
    """What the paths of a draft are relative to."""
    return path if path.is_dir() and not is_plate(path) else path.parent


def _of_plates(path: Path, root: Path, plates: list[Path]) -> str:
    """The draft for OME-Zarr plates, with the first table beside them that says what wells received."""
    tables = sorted(p for p in root.iterdir() if p.is_file() and p.name.lower().endswith(SUFFIXES)
                    and not p.name.lower().endswith((".txt", ".txt.gz")))
    seen = [look(table, root) for table in tables[:MAX_TABLES]]
    maps = [found for table in seen if (found := plate_map(table)) is not None]
    others = [table.name for table in seen if not maps or table.name != maps[0].name]
    no_plates = sum(1 for p in root.glob("*.zarr")) - len(plates_in(root))
    parts = [_head(root, path), 'key = ["Metadata_Plate", "Metadata_Well"]   # what makes a row unique\n',
             annotations_of_plates(maps[0] if maps else None), images_of_plates(plates, no_plates),
             f"# Not used: {', '.join(others)}\n" if others else ""]
    return "\n".join(part for part in parts if part)


def _main(profile_tables: list[Seen], image_tables: list[Seen]) -> Seen:
    """The table that tells key, controls and dose: of wells on plates if there is one, else that of the images."""
    of_wells = [table for table in [*profile_tables, *image_tables] if {PLATE, WELL} <= set(guessed(table))]
    return (of_wells or image_tables or profile_tables)[0]


def _tables(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.is_file() and p.name.lower().endswith(SUFFIXES)
                   and not p.name.lower().endswith((".txt", ".txt.gz")) and not _is_truth(p))
    if not found:
        raise ManifestError(f"{path} holds no table ({', '.join(SUFFIXES)})")
    return found[:MAX_TABLES]


def _is_truth(path: Path) -> bool:
    """Whether a simulator wrote it for the evaluation alone."""
    return any(folder.name == "truth" and (folder.parent / "simulation.json").is_file() for folder in path.parents)


def _head(root: Path, path: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", path.resolve().name.split(".")[0]).strip("_") or "screen"
    name = name if name[0].isalpha() else f"screen_{name}"
    return (f"# Drafted by `dssl-bio manifest init`. Every line is a guess: check it, then delete its comment.\n"
            f"# Paths are relative to this file, or to --data-root (here: the folder {root.name or '.'}).\n"
            f"name = {json.dumps(name[:60].lower())}\n"
            'title = ""                # shown on pages and in reports\n'
            'citation = ""             # whom to cite for these data\n'
            'licence = ""              # what others may do with them\n'
            '# where = \'column == "value"\'   # keep only some rows; the others are counted, not rejected\n')


def _key(words: dict[str, str]) -> str:
    if WELL in words:
        return 'key = ["Metadata_Plate", "Metadata_Well"]   # what makes a row unique\n'
    return ('key = "row"               # no plate and well were recognised, so the row number stands for them; better\n'
            "                          # name the column or columns that make a row unique\n")


def _columns(words: dict[str, str]) -> str:
    lines = ["[columns]                 # our word = the table's column"]
    lines += [f"{word} = {json.dumps(column, ensure_ascii=False)}" for word, column in words.items()]
    lines += [f"# {word} = \"\"       # none recognised" for word in (WELL, SMILES) if word not in words]
    return "\n".join(lines) + "\n"


def _constants(words: dict[str, str]) -> str:
    if WELL in words and PLATE not in words:
        return '[constants]\nMetadata_Plate = "plate_1"   # no plate was recognised; is all of it one plate?\n'
    return ""


def _annotations(names: list[str]) -> str:
    if not names:
        return ""
    listed = json.dumps(names, ensure_ascii=False)
    return f"annotations = {listed}   # numbers that look like no feature: kept beside the profile\n"


def _controls(table: Seen, words: dict[str, str]) -> str:
    for word in (PERT_TYPE, COMPOUND):
        column = words.get(word)
        if column not in table.columns:
            continue
        counts = as_text(table.rows[column]).value_counts()
        for name in CONTROLS:
            if name in counts:
                seen = f"# {counts[name]} of the first {len(table.rows)} rows"
                return f"[controls]\nwhere = '{word} == \"{name}\"'   {seen}\n"
    return ("# [controls]              # no negative controls were recognised\n"
            "# where = 'Metadata_Compound == \"DMSO\"'\n")


def _dose(table: Seen) -> str:
    for column in table.columns:
        match = DOSE.search(column)
        if match and is_number(table.rows[column]):
            unit = "mM" if "mmoles" in column.lower() else _UNITS.get((match["unit"] or "").lower())
            doubt = "" if unit else "   # a guess: M, mM, uM, nM or pM?"
            return f"[dose]\ncolumn = {json.dumps(column)}\nunit = {json.dumps(unit or 'uM')}{doubt}\n"
    return '# [dose]                  # no dose was recognised\n# column = ""\n# unit = "uM"\n'


def _grouped(table: Seen) -> tuple[list[str], list[str]]:
    """Patterns that cover the features, by the beginning of their names, and the columns that stand apart."""
    features = table.features()
    heads: dict[str, list[str]] = {}
    for name in features:
        heads.setdefault(name.split("_")[0], []).append(name)
    large = {head: names for head, names in heads.items() if len(names) >= FEW_FEATURES}
    if sum(map(len, large.values())) < len(features) / 2:
        return features, []
    others = set(table.columns) - set(features)
    patterns: list[str] = []
    for head, names in large.items():
        patterns += names if any(other.startswith(f"{head}_") for other in others) else [f"{head}_*"]
    return patterns, [name for head, names in heads.items() if head not in large for name in names]


def _profiles(table: Seen, number: int) -> str:
    patterns, strays = _grouped(table)
    name = "profile" if number == 0 else f"profile_{number + 1}"
    return (f"[profiles.{name}]         # the name is yours: cell_painting, expression ...\n"
            f"table = {json.dumps(table.name, ensure_ascii=False)}\n"
            f"features = {json.dumps(patterns, ensure_ascii=False)}   # {len(table.features()) - len(strays)} columns\n"
            'transform = "none"        # or signed_log, for z-scores that run into the hundreds\n'
            'normalisation = "none"    # or negcon, plate, screen: against what is each feature scaled?\n')


def _images(table: Seen, root: Path) -> str:
    channels = table.channel_columns()
    folder = _image_folder(table, root)
    lines = [f"[images]\ntable = {json.dumps(table.name, ensure_ascii=False)}   # one row a site",
             f"folder = {json.dumps(folder, ensure_ascii=False)}   # the first file lies there" if folder else
             '# folder = ""             # where the files lie, if not beside the table',
             "pixel_size_um = 0.65      # a guess: see the microscope's metadata"]
    if len(channels) < len(CHANNELS):
        lines.append("some_channels = true      # only these were recognised")
    lines.append("\n[images.channels]         # which stain is in which column")
    lines += [f"{channel} = {json.dumps(column)}" for channel, column in channels.items()]
    return "\n".join(lines) + "\n"


def _image_folder(table: Seen, root: Path) -> str | None:
    """Folder, relative to the root, below which the table's first file lies; None when that is beside the table."""
    names = table.rows[next(iter(table.channel_columns().values()))].dropna()
    beside = (root / table.name).parent
    if names.empty or (beside / names.iloc[0]).is_file():
        return None
    folders = sorted(path for path in beside.iterdir() if path.is_dir() and (path / names.iloc[0]).is_file())
    return folders[0].relative_to(root).as_posix() if folders else None
