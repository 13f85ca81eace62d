"""Rows of a manifest's tables in our vocabulary: filtered, keyed, typed; those that cannot be are rejected."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.errors import ConfigError, ManifestError
from dssl_bio.screens.expressions import as_text, parse
from dssl_bio.screens.manifest import ROW_NUMBER, TO_UM, Manifest
from dssl_bio.screens.plan import IMAGES, ScreenPlan, TablePlan
from dssl_bio.screens.tables import read_text_columns
from dssl_bio.vocabulary import (
    BATCH,
    CELL_LINE,
    COMPOUND,
    DOSE_UM,
    INCHIKEY,
    MOA,
    PERT_TYPE,
    PERT_TYPES,
    PLATE,
    REPLICATE,
    ROW_KEY,
    RUN,
    SITE,
    SMILES,
    SOURCE,
    WELL,
    well_name,
)

FILE, ROW, CONTROL, JOIN = "_file", "_row", "_control", "_join"
TEXT_WORDS = (SOURCE, BATCH, PLATE, WELL, SITE, INCHIKEY, SMILES, PERT_TYPE, COMPOUND, MOA, CELL_LINE, REPLICATE, RUN)
KEY_SEPARATOR = ":"
PLACES = {"plate": PLATE, "well": WELL, "site": SITE}
"""Where a rejected row was measured, as far as its table says."""


@dataclass
class Rejections:
    """Input rows that do not become wells, each with its place and reason."""

    parts: list[pd.DataFrame] = field(default_factory=list)

    def add(self, modality: str, rows: pd.DataFrame, reason: "str | Sequence[str]", value: object = "") -> None:
        """Rejects rows that carry their file and row number."""
        if len(rows):
            columns = {"modality": modality, "file": rows[FILE].to_numpy(), "row": rows[ROW].to_numpy(),
                       "reason": reason, "value": value}
            for name, word in PLACES.items():
                columns[name] = as_text(rows[word]).fillna("").to_numpy() if word in rows else ""
            self.parts.append(pd.DataFrame(columns, index=range(len(rows))))

    def table(self) -> pd.DataFrame:
        """All of them: modality, file, row (from 1, header not counted), reason, value, plate, well, site."""
        kinds = {"modality": "str", "file": "str", "row": "int64", "reason": "str", "value": "str",
                 **dict.fromkeys(PLACES, "str")}
        empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
        found = pd.concat([part.astype({"value": "str"}) for part in self.parts]) if self.parts else empty
        return found.astype(kinds).sort_values(["modality", "file", "row"], kind="stable").reset_index(drop=True)


@dataclass(frozen=True)
class TableRows:
    """Accepted rows of one table.

    Attributes:
        plan: the table.
        frame: indexed by input position over all its files; row_key, metadata, and `_file`, `_row`, `_control`.
        n_input: rows read.
        n_filtered: rows that the manifest's filter dropped.
        seen: what the columns of controls.where hold, when it finds nothing here.
    """

    plan: TablePlan
    frame: pd.DataFrame
    n_input: int
    n_filtered: int
    seen: str = ""


def read_rows(manifest: Manifest, screen: ScreenPlan, plan: TablePlan, rejections: Rejections) -> TableRows:
    """One table of a manifest, in our vocabulary.

    Raises:
        ManifestError: it cannot be read, a filter does not fit its columns, or a key is repeated.
    """
    raw = pd.concat([_read(path, label, plan.text_columns) for label, path in labelled(plan.paths).items()],
                    ignore_index=True)
    table = with_words(raw, manifest)
    kept = _mask(manifest.where, table, "where")
    control = np.zeros(len(table), dtype=bool)
    if manifest.controls and parse(manifest.controls.where).columns() <= set(table):
        control = _mask(manifest.controls.where, table, "controls.where")
    table[CONTROL] = control
    if screen.key == [ROW_NUMBER]:
        table[ROW_KEY] = [str(number) for number in range(1, len(table) + 1)]
    rows = table[kept].copy()
    rows = _typed(rows, manifest, plan, screen.key, rejections)
    rows = _keyed(rows, plan.modality, screen.key, rejections)
    rows = rows.drop(columns=[c for c in _sources(manifest, plan, screen.key) if c in rows])
    seen = "" if rows[CONTROL].any() else _values_seen(table[kept], manifest)
    return TableRows(plan, rows, len(table), int((~kept).sum()), seen)


def with_words(raw: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """A table with its Metadata_ words beside its own columns."""
    added = {word: raw[column] for word, column in manifest.columns.items() if column in raw}
    for word, value in manifest.constants.items():
        if word in raw:
            raise ManifestError(f"constants: the table has a column {word} of its own")
        added[word] = pd.Series(value, index=raw.index, dtype="str")
    return raw.drop(columns=[word for word in added if word in raw]).assign(**added)


def labelled(paths: Sequence[Path]) -> dict[str, Path]:
    """Tables by what their rows are told by: the name, or the path from where they part, when names are the same."""
    if len({path.name for path in paths}) == len(paths):
        return {path.name: path for path in paths}
    common = Path(os.path.commonpath([path.parent for path in paths]))
    return {path.relative_to(common).as_posix(): path for path in paths}


def _read(path: Path, label: str, columns: list[str]) -> pd.DataFrame:
    table = read_text_columns(path, columns)
    table[FILE] = pd.Series(label, index=table.index, dtype="str")
    table[ROW] = np.arange(1, len(table) + 1)
    return table


def _mask(where: str | None, table: pd.DataFrame, place: str) -> NDArray[np.bool_]:
    if where is None:
        return np.ones(len(table), dtype=bool)
    try:
        return parse(where).mask(table)
    except ConfigError as problem:
        raise ManifestError(f"{place}: {problem}") from problem


def _typed(rows: pd.DataFrame, manifest: Manifest, plan: TablePlan, key: list[str],
           rejections: Rejections) -> pd.DataFrame:
    """Text where words are text, wells in their one spelling, doses in micromolar."""
    for column in [c for c in (*TEXT_WORDS, *key) if c in rows]:
        text = as_text(rows[column]).str.strip()
        rows[column] = text.mask(text == "")
    if manifest.molecules and manifest.molecules.on.left in rows:
        rows[JOIN] = as_text(rows[manifest.molecules.on.left]).str.strip()
    if WELL in rows:
        names = rows[WELL].map(_well, na_action="ignore")
        wrong = names.isna() & rows[WELL].notna()
        rejections.add(plan.modality, rows[wrong], "not a well (expected a letter and a column, such as C07)",
                       rows.loc[wrong, WELL].to_numpy())
        rows = rows.assign(**{WELL: names.astype("str")})[~wrong]
    rows = _dosed(rows, manifest, plan, rejections)
    for column in rows.columns.difference([*TEXT_WORDS, *key, FILE, ROW, CONTROL, JOIN, DOSE_UM, ROW_KEY]):
        rows[column] = _plain(rows[column])
    return rows


def _well(text: str) -> str | None:
    try:
        return well_name(text)
    except ValueError:
        return None


def _dosed(rows: pd.DataFrame, manifest: Manifest, plan: TablePlan, rejections: Rejections) -> pd.DataFrame:
    column, factor = (manifest.dose.column, TO_UM[manifest.dose.unit]) if manifest.dose else (DOSE_UM, 1.0)
    if column not in rows:
        return rows
    dose = pd.to_numeric(rows[column], errors="coerce").astype(float) * factor
    given = rows[PERT_TYPE] if PERT_TYPE in rows else pd.Series(pd.NA, index=rows.index, dtype="str")
    treated = ~rows[CONTROL] & ~given.isin(["negcon", "poscon", "empty"])
    wrong = treated & ~(np.isfinite(dose) & (dose >= 0))
    rejections.add(plan.modality, rows[wrong], f"dose is missing or not a number (column {column})",
                   as_text(rows.loc[wrong, column]).to_numpy())
    # 3333.3 nM and 3.3333 uM are one dose: six digits are more than any dispenser has
    return rows.assign(**{DOSE_UM: dose.map(lambda x: float(f"{x:.6g}"))})[~wrong]


def _plain(values: "pd.Series[str]") -> "pd.Series[str]":
    """An annotation: numbers when all of its values are, text otherwise (leading zeros are text)."""
    if not isinstance(values.dtype, pd.StringDtype) and values.dtype != object:
        return values
    present = values.dropna().astype("str").str.strip()
    if len(present) and not present.str.match(r"[+-]?0\d").any():
        numbers = pd.to_numeric(present, errors="coerce")
        if numbers.notna().all():
            return pd.to_numeric(values, errors="coerce")
    return as_text(values)


def _keyed(rows: pd.DataFrame, modality: str, key: list[str], rejections: Rejections) -> pd.DataFrame:
    if key != [ROW_NUMBER]:
        for column in key:
            missing = rows[column].isna()
            rejections.add(modality, rows[missing], f"no value in key column {column}")
            rows = rows[~missing]
        joined = rows[key[0]].astype("str")
        for column in key[1:]:
            joined = joined + KEY_SEPARATOR + rows[column].astype("str")
        rows = rows.assign(**{ROW_KEY: joined})
    if modality == IMAGES and SITE not in rows:
        rows = rows.assign(**{SITE: pd.Series("1", index=rows.index, dtype="str")})
    unique = [ROW_KEY, SITE] if modality == IMAGES else [ROW_KEY]
    repeated = rows[rows.duplicated(unique, keep=False)]
    if len(repeated):
        _refuse_repeated(repeated, unique, modality, key)
    return rows


def _refuse_repeated(repeated: pd.DataFrame, unique: list[str], modality: str, key: list[str]) -> None:
    first = repeated.iloc[0]
    same = repeated[(repeated[unique] == first[unique]).all(axis=1)]
    places = " and ".join(f"{file} row {row}" for file, row in same[[FILE, ROW]].head(2).itertuples(index=False))
    name = str(first[ROW_KEY]) + (f", site {first[SITE]}" if SITE in unique else "")
    advice = f"map {SITE} if a well has several sites" if SITE in unique else "name more columns in `key`"
    raise ManifestError(f"{modality}: the key {name} ({', '.join(key)}) stands in {places}"
                        f" ({len(repeated)} rows have a repeated key); {advice}, or drop rows with `where`")


def _sources(manifest: Manifest, plan: TablePlan, key: list[str]) -> set[str]:
    """Columns that live on under a Metadata_ word, or were only read to filter by."""
    kept = {*plan.annotations, *key, *manifest.columns, *manifest.constants, ROW_KEY, FILE, ROW, CONTROL, JOIN, DOSE_UM}
    renamed = set(manifest.columns.values()) | ({manifest.dose.column} if manifest.dose else set())
    files: set[str] = set()
    if plan.modality == IMAGES:
        files = set(_image_columns(manifest))
    plain = {column for column in plan.text_columns if not column.startswith("Metadata_")}
    return (renamed | plain) - kept - files


def consistent(tables: Sequence[TableRows], rejections: Rejections) -> list[TableRows]:
    """The tables without rows that contradict an earlier row of the same well on what was done to it."""
    both = pd.concat([t.frame.assign(_table=i) for i, t in enumerate(tables)])
    wrong = np.zeros(len(both), dtype=bool)
    for column in [c for c in (SMILES, DOSE_UM, PERT_TYPE) if c in both]:
        first = both.groupby(ROW_KEY)[column].transform("first")
        differs = (both[column].notna() & (both[column] != first)).to_numpy() & ~wrong
        for i, table in enumerate(tables):
            chosen = differs & (both["_table"] == i).to_numpy()
            rows = both[chosen]
            seen = [f"{here} here, {before} before" for here, before in zip(rows[column], first[chosen], strict=True)]
            rejections.add(table.plan.modality, rows, f"contradicts an earlier row of the same well in {column}", seen)
        wrong |= differs
    kept = ~wrong
    number = both["_table"].to_numpy()
    return [replace(t, frame=t.frame[kept[number == i]]) for i, t in enumerate(tables)]


def assembled(tables: Sequence[TableRows], manifest: Manifest) -> tuple[pd.DataFrame, list[str]]:
    """One row per well from the rows of all tables (first value that is given), with its perturbation type.

    Returns:
        Wells, indexed from 0, and notes.

    Raises:
        ManifestError: no row is left, or controls are declared and there are none.
    """
    private = [FILE, ROW, SITE]
    parts = [t.frame.drop(columns=[c for c in (*private, *_image_columns(manifest)) if c in t.frame]) for t in tables]
    both = pd.concat([part for part in parts if len(part)] or parts)
    if not len(both):
        total = sum(t.n_input for t in tables)
        raise ManifestError(f"no row is left of {total}: " + _why_empty(tables))
    control = both.groupby(ROW_KEY, sort=False)[CONTROL].any()
    wells = both.drop(columns=CONTROL).groupby(ROW_KEY, sort=False).first().reset_index()
    wells = wells.drop(columns=[c for c in wells if wells[c].isna().all() and c != SMILES])
    notes: list[str] = []
    if manifest.controls and not control.any():
        raise ManifestError(f"controls.where {manifest.controls.where!r} finds no well; "
                            + "; ".join(dict.fromkeys(t.seen for t in tables if t.seen)))
    wells[PERT_TYPE] = _pert_types(wells, control.to_numpy(), manifest, notes)
    return wells, notes


def _why_empty(tables: Sequence[TableRows]) -> str:
    return "; ".join(f"{t.plan.modality}: {t.n_filtered} dropped by `where`, "
                     f"{t.n_input - t.n_filtered - len(t.frame)} rejected" for t in tables)


def _image_columns(manifest: Manifest) -> list[str]:
    if manifest.images is None:
        return []
    return [*manifest.images.file_columns, *manifest.images.path_columns]


def _pert_types(wells: pd.DataFrame, control: NDArray[np.bool_], manifest: Manifest,
                notes: list[str]) -> "pd.Series[str]":
    given = wells[PERT_TYPE] if PERT_TYPE in wells else pd.Series(pd.NA, index=wells.index, dtype="str")
    types = given.where(given.isin(PERT_TYPES), "trt").astype("str")
    foreign = sorted(set(given[given.notna() & ~given.isin(PERT_TYPES) & ~control]))
    if foreign:
        notes.append(f"{PERT_TYPE} {', '.join(foreign[:5])} is none of {', '.join(PERT_TYPES)} and was read as trt")
    if manifest.controls:
        other = (types == "negcon") & ~control
        if other.any():
            notes.append(f"{int(other.sum())} wells are negcon by the table and not by controls.where: kept as empty")
        types = types.mask(other, "empty").mask(control, "negcon")
    elif not (types == "negcon").any():
        notes.append("no negative controls are declared; whatever compares with controls is not available")
    return types


def _values_seen(table: pd.DataFrame, manifest: Manifest) -> str:
    """What the columns of controls.where hold, for the message that it found nothing."""
    told = []
    for column in sorted(parse(manifest.controls.where).columns() & set(table)) if manifest.controls else []:
        counts = as_text(table[column]).fillna("(missing)").value_counts()
        listed = ", ".join(f"{value} ({count})" for value, count in counts.head(10).items())
        told.append(f"{column} holds {listed}" + (f" and {len(counts) - 10} other values" if len(counts) > 10 else ""))
    return "; ".join(told)
