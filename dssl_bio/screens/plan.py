"""What an ingest will read: every file and column that a manifest names, found or refused before anything is read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from dssl_bio.errors import ManifestError
from dssl_bio.screens.expressions import did_you_mean, parse
from dssl_bio.screens.manifest import ROW_NUMBER, Manifest, ManifestFile
from dssl_bio.screens.tables import MAX_TABLE_BYTES, columns_of, table_checksum
from dssl_bio.vocabulary import PLATE, WELL

IMAGES = "images"


@dataclass(frozen=True)
class TablePlan:
    """One table of one modality.

    Attributes:
        modality: name of the feature block, or "images".
        paths: its files.
        text_columns: columns that are read as they are: keys, metadata, annotations, image files.
        features: columns that are read as numbers.
        annotations: those of the text columns that were asked for as annotations.
        ignored: columns that are left where they are.
    """

    modality: str
    paths: list[Path]
    text_columns: list[str]
    features: list[str]
    annotations: list[str]
    ignored: list[str]


@dataclass(frozen=True)
class ScreenPlan:
    """All tables of a screen, and what identifies a row."""

    tables: list[TablePlan]
    key: list[str]
    molecules: Path | None


def plan_screen(file: ManifestFile, molecules: Path | None = None, max_bytes: int = MAX_TABLE_BYTES) -> ScreenPlan:
    """Finds every table and column that the manifest names.

    Args:
        file: the manifest.
        molecules: a table of structures that replaces the manifest's.
        max_bytes: largest table that is read.

    Raises:
        ManifestError: a file or column is missing (with the nearest name), or a checksum differs.
    """
    manifest = file.manifest
    headers = {name: _headers(name, paths, max_bytes) for name, paths in _paths(file).items()}
    words = {name: set(columns[0]) | set(manifest.constants) | _mapped(manifest, columns[0])
             for name, columns in headers.items()}
    everywhere = set().union(*words.values())
    _require(manifest.columns.values(), everywhere, "columns")
    key = _key(manifest, words)
    for name, known in words.items():
        _require(key if key != [ROW_NUMBER] else [], known, f"{name}: key")
        if manifest.where:
            _require(parse(manifest.where).columns(), known, f"{name}: where")
    _require(_controls(manifest), everywhere, "controls.where")
    _require([manifest.dose.column] if manifest.dose else [], everywhere, "dose.column")
    if manifest.molecules and (molecules or manifest.molecules.table):
        _require([manifest.molecules.on.left], everywhere, "molecules.on.left")
    for pattern in manifest.annotations:
        if not any(fnmatchcase(word, pattern) for word in everywhere):
            raise ManifestError(f"annotations: nothing matches {pattern!r}{did_you_mean(pattern, sorted(everywhere))}")
    _verify(file)
    paths = _paths(file)
    tables = [_table(manifest, name, paths[name], headers[name], key) for name in headers]
    return ScreenPlan(tables, key, molecules or _molecules(file))


def _paths(file: ManifestFile) -> dict[str, list[Path]]:
    manifest = file.manifest
    found = {name: [path for table in source.tables for path in _matching(file.root, table)]
             for name, source in manifest.profiles.items()}
    if manifest.images:
        found[IMAGES] = [path for table in manifest.images.tables for path in _matching(file.root, table)]
    return found


def _matching(root: Path, table: str) -> list[Path]:
    if not any(mark in table for mark in "*?["):
        return [root / table]
    paths = sorted(root.glob(table))
    if not paths:
        raise ManifestError(f"no table matches {table!r} in {root}")
    return paths


def _headers(name: str, paths: list[Path], max_bytes: int) -> list[list[str]]:
    """Columns of each file; every file must have those of the first."""
    headers = [columns_of(path, max_bytes) for path in paths]
    for path, columns in zip(paths, headers, strict=True):
        missing = sorted(set(headers[0]) - set(columns))
        if missing:
            raise ManifestError(f"{name}: {path} lacks {len(missing)} columns that {paths[0].name} has: "
                                f"{', '.join(missing[:5])}")
    return headers


def _key(manifest: Manifest, words: dict[str, set[str]]) -> list[str]:
    if manifest.key is not None:
        return manifest.key
    if all({PLATE, WELL} <= known for known in words.values()):
        return [PLATE, WELL]
    name, known = next((n, k) for n, k in words.items() if not {PLATE, WELL} <= k)
    raise ManifestError(f"{name}: no {PLATE} and {WELL} to identify rows by; map them under [columns], give a "
                        f"constant, or say `key` (one or more columns, or \"row\"). Known columns: "
                        f"{', '.join(sorted(known)[:30])}")


def _mapped(manifest: Manifest, header: list[str]) -> set[str]:
    return {word for word, column in manifest.columns.items() if column in header}


def _controls(manifest: Manifest) -> set[str]:
    return parse(manifest.controls.where).columns() if manifest.controls else set()


def _require(names: Iterable[str], known: set[str], place: str) -> None:
    for name in names:
        if name not in known:
            raise ManifestError(f"{place}: no column {name!r}{did_you_mean(name, sorted(known))}")


def _verify(file: ManifestFile) -> None:
    for name, expected in file.manifest.checksums.items():
        path = file.root / name
        if not path.is_file():
            raise ManifestError(f"checksums: no such file: {path}")
        if table_checksum(path) != expected.lower().removeprefix("sha256:"):
            raise ManifestError(f"{path} is not the file that the manifest describes (SHA-256 differs)")


def _molecules(file: ManifestFile) -> Path | None:
    source = file.manifest.molecules
    return file.root / source.table if source and source.table else None


def _table(manifest: Manifest, name: str, paths: list[Path], headers: list[list[str]], key: list[str]) -> TablePlan:
    header = headers[0]
    features = _features(manifest, name, header) if name != IMAGES else []
    blocks = set(features).union(*(_matched(header, source.features) for source in manifest.profiles.values()))
    annotations = [column for column in _matched(header, manifest.annotations) if column not in features]
    files: list[str] = []
    if manifest.images and name == IMAGES:
        _require(manifest.images.file_columns, set(header), "images: channels")
        files = [*manifest.images.file_columns, *(c for c in manifest.images.path_columns if c in header)]
    expressions = _controls(manifest) | (parse(manifest.where).columns() if manifest.where else set())
    wanted = {*manifest.columns.values(), *annotations, *files, *key, *expressions,
              *([manifest.dose.column] if manifest.dose else []),
              *([manifest.molecules.on.left] if manifest.molecules else []),
              *(column for column in header if column.startswith("Metadata_") and column not in blocks)}
    text = [column for column in header if column in wanted]
    clash = sorted(set(features) & {*manifest.columns.values(), *key})
    if clash:
        raise ManifestError(f"profiles.{name}: {', '.join(clash[:5])} is both a feature and a key or metadata column; "
                            "name it under `exclude`")
    excluded = {c for source in manifest.profiles.values() for c in _matched(header, source.exclude)}
    ignored = [column for column in header if column not in blocks | excluded | set(text)]
    return TablePlan(name, paths, text, features, annotations, ignored)


def _features(manifest: Manifest, name: str, header: list[str]) -> list[str]:
    source = manifest.profiles[name]
    for pattern in source.features:
        if not any(fnmatchcase(column, pattern) for column in header):
            raise ManifestError(f"profiles.{name}.features: nothing matches {pattern!r}{did_you_mean(pattern, header)}")
    excluded = set(_matched(header, source.exclude))
    return [column for column in _matched(header, source.features)
            if column not in excluded and not column.startswith("Metadata_")]


def _matched(header: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Columns that match any of the names or globs, in the table's order."""
    return [column for column in header if any(column == p or fnmatchcase(column, p) for p in patterns)]


def described(plan: ScreenPlan) -> list[str]:
    """A plan in words: what identifies a row, and what each table gives."""
    lines = [f"a row is identified by {' + '.join(plan.key)}"]
    for table in plan.tables:
        first, more = table.paths[0], len(table.paths) - 1
        lines.append(f"{table.modality}: {first}" + (f" and {more} more files" if more else ""))
        if table.features:
            lines.append(f"  {len(table.features)} features: {table.features[0]} ... {table.features[-1]}")
        lines.append(f"  {len(table.text_columns)} other columns: {', '.join(table.text_columns)}")
        if table.ignored:
            lines.append(f"  {len(table.ignored)} left out: {', '.join(table.ignored[:8])}")
    lines.append(f"structures from {plan.molecules}" if plan.molecules else "structures from the rows themselves")
    return lines
