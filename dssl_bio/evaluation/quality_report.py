"""What quality control found of a screen's images, as an HTML page with plate maps and as tables."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dssl_bio.artefact import written_whole
from dssl_bio.errors import ScreenError
from dssl_bio.evaluation.page import Cell, Row, Section, Table, figure_html, render_page
from dssl_bio.evaluation.quality_maps import light_figure, plate_figure, plates_figure, screen_figure, well_maps
from dssl_bio.evaluation.quality_wells import (
    CELLS,
    FEW_CELLS,
    PlateEffect,
    effects_told,
    plate_effects,
    wells_with_few_cells,
)
from dssl_bio.imaging.illumination import MIN_SITES, field_of, sample_of
from dssl_bio.imaging.intensity import usual_sites
from dssl_bio.imaging.quality import FLAGS
from dssl_bio.screens.screen import FLAGGED, Images, Screen
from dssl_bio.screens.screen import FLAGS as FLAG_COLUMN
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, PLATE, ROW_KEY, SITE, WELL

PAGE, SITE_CSV, PLATE_CSV, WARNING_CSV = "quality.html", "sites.csv", "plates.csv", "warnings.csv"
MOST_PLATES = 12
MOST_ROWS = 200
MOST_STRIPS = 5
FEW = 20
"""Longer lists are folded."""
SITES_FOR_LIGHT = 256

EXPLANATIONS = (
    "A flagged site stays in the screen and is left out of training and of a bundle's entries, unless "
    "image.flagged_sites = true. An entry that would have no other site is kept and marked all_flagged.",
    "blur: details are weaker than the plate's middle by more robust standard deviations than allowed, in the median "
    "over channels: a lens out of focus blurs all of them, a phenotype some.",
    "saturation: too many pixels at the camera's largest value. debris: too many pixels far above the plate's upper "
    "intensity limit. empty: next to no pixel brighter than background in the DNA channel; a well whose cells all died "
    "is empty, too.",
    "Intensity maps are log2 of the mean, against the plate's median. Wells in grey were not imaged.",
    "Position effect: share of the variance between wells that a smooth surface over rows and columns explains, "
    "adjusted so that 0 is expected by chance. Layouts that put strong compounds together raise it as well.",
    "Few cells: less than half of the cells that a site of the plate usually has (its median well; the screen's where "
    "a plate has fewer than five wells). Dead cells, cells that came off, or wells that were never seeded; a compound "
    "that kills reads like any other that does.",
    "Background and brightness: the 5th and the 99th percentile of a site's pixels in a channel.",
    "Plate effect: share of the variance between wells that lies between plates, adjusted so that 0 is expected by "
    "chance; flagged sites are left out, a single one can hide it. Plates that hold other compounds may differ for "
    "that reason. As a model reads it: after the intensity limits of each plate.",
    "Unevenness: root mean square of the illumination field about its mean. What is left is estimated anew from "
    "corrected sites, so the estimate's own error is in it; the uncertainty compares two halves of the sites.",
)


def write_quality(screen: Screen, folder: Path, *, plates: Sequence[str] = (),
                  progress: Callable[[int, int], None] = lambda done, total: None) -> dict[str, Any]:
    """Writes quality.html and tables of sites, plates and warnings into a folder; files of these names are replaced.

    Args:
        screen: with images.
        folder: to write into.
        plates: whose maps are drawn; by default those with most flagged sites and the largest position effect.
        progress: called with (plates drawn, plates).

    Returns:
        Counts: plates, sites, flagged_sites, flags, warnings, wells_with_few_cells (None where cells were not
        counted), and plate_effect in words.

    Raises:
        ScreenError: the screen has no images or no such plate, or is of an earlier version.
    """
    images = screen.images
    if images is None:
        raise ScreenError(f"screen {screen.name} has no images, and only images are judged")
    quality, described, warnings = images.quality(), images.plates(), images.warnings()
    counts = screen.record["counts"]["quality"]
    summary = _summary(images, described, warnings)
    unknown = sorted(set(plates) - set(summary[PLATE]))
    if unknown:
        raise ScreenError(f"no plate {unknown[0]!r} in screen {screen.name}; there are "
                          f"{', '.join(summary[PLATE].head(10))}{', ...' if len(summary) > 10 else ''}")
    shown = list(plates) or summary.sort_values(
        ["flagged", "position_effect"], ascending=False)[PLATE].head(MOST_PLATES).sort_values().tolist()
    maps, names = well_maps(images.table, quality, screen.wells, images.channels)
    few = wells_with_few_cells(images.table, screen.wells)
    every_site = np.arange(len(images.table))
    effects = plate_effects(images.table, quality, screen.wells, images.channels, images.limits(every_site))
    sections = [_overview(counts, summary, described), _few_section(screen, few),
                *_effect_section(screen, effects, few), *_lists(screen, warnings)]
    for number, plate in enumerate(shown):
        sections.append(_plate_section(images, plate, maps[maps[PLATE] == plate], names))
        progress(number + 1, len(shown))
    more = f" Maps of {len(shown)} of {len(summary)} plates; name others with --plate." if len(shown) < len(
        summary) else ""
    record = screen.record
    subtitle = (f"{counts['sites']:,} sites on {len(summary):,} {'plate' if len(summary) == 1 else 'plates'}, "
                f"{counts['flagged_sites']:,} flagged.{more}")
    page = render_page(f"Image quality of {screen.name}", subtitle, screen.simulated, sections, EXPLANATIONS,
                       [("screen", f"{screen.name} ({screen.id})"), ("illumination", record["images"]["illumination"]),
                        ("made", record["made_by"]["created"])])
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")
    for name, table in ((SITE_CSV, _site_table(screen, quality)), (PLATE_CSV, described), (WARNING_CSV, warnings)):
        with written_whole(folder / name) as temporary:
            table.to_csv(temporary, index=False)
    return {"plates": len(summary), "sites": counts["sites"], "flagged_sites": counts["flagged_sites"],
            "flags": counts["flags"], "warnings": len(warnings),
            "wells_with_few_cells": None if few is None else len(few),
            "plate_effect": effects_told([effect for effect in effects if np.isfinite(effect.raw)])}


def _summary(images: Images, described: pd.DataFrame, warnings: pd.DataFrame) -> pd.DataFrame:
    """One row a plate: sites, flagged, each flag, unevenness, uncertainty and position effect of its worst channel."""
    by_plate = images.table.groupby(PLATE, sort=True)
    table = pd.DataFrame({"sites": by_plate.size(), "flagged": by_plate[FLAGGED].sum()})
    for flag in FLAGS:
        table[flag] = images.table[FLAG_COLUMN].str.split(";").map(lambda kinds, flag=flag: flag in kinds).groupby(
            images.table[PLATE]).sum()
    worst = described.groupby(PLATE)[["unevenness", "unevenness_uncertainty", "position_effect"]].max()
    table = table.join(worst)
    table["corrected"] = described.groupby(PLATE)["illumination"].first() != "none"
    table["warnings"] = warnings.groupby("plate").size().reindex(table.index).fillna(0).astype(int)
    return table.reset_index()


def _overview(counts: dict[str, Any], summary: pd.DataFrame, described: pd.DataFrame) -> Section:
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in counts["flags"].items()) or "none"
    lost = counts["wells_without_unflagged_site"]
    text = (f"Flags: {kinds}. " + (f"{lost:,} wells have no other site and are not trained on. " if lost else "")
            + "Unevenness and position effect are those of the worst channel.")
    rows = [Row([Cell(str(row[PLATE])), *(Cell(f"{row[name]:,}") for name in ("sites", "flagged", *FLAGS)),
                 Cell(_percent(row["unevenness"]), f"± {_percent(row['unevenness_uncertainty'])}")
                 if row["corrected"] else Cell("not corrected"),
                 Cell(_percent(row["position_effect"]) or "not known"), Cell(f"{row['warnings']:,}")])
            for row in summary.head(MOST_ROWS).to_dict("records")]
    table = Table(["plate", "sites", "flagged", *FLAGS, "uneven light", "position effect", "warnings"], rows)
    figures = []
    if len(summary) > 1:
        if described["position_effect"].notna().any():
            figures.append(figure_html(screen_figure(described, "position_effect", "Position effect"), "position"))
        if summary["corrected"].any():
            figures.append(figure_html(screen_figure(described, "unevenness", "Uneven light that was corrected"),
                                       "light"))
    return Section("Plates", text, [table], figures)


def _few_section(screen: Screen, few: pd.DataFrame | None) -> Section:
    if few is None:
        return Section("Wells with few cells", "Cells were not counted. `dssl-bio segment` counts them; make this "
                       "report again after it.")
    wells = screen.wells.iloc[few["row"].to_numpy()]
    told = [column for column in (COMPOUND, DOSE_UM) if column in wells]
    rows = [Row([Cell(str(row[PLATE])), Cell(_well_name(well)), Cell(f"{row['cells']:.4g}"),
                 Cell(f"{row['usual']:.4g}"), Cell(_percent(row["share"])),
                 *(Cell(_words(well[column])) for column in told)])
            for row, well in zip(few.head(MOST_ROWS).to_dict("records"), wells.to_dict("records"), strict=False)]
    heads = {COMPOUND: "compound", DOSE_UM: "dose, um"}
    text = (f"Cells a site, below {FEW_CELLS:.0%} of what is usual on the plate." if len(few) else
            f"No well has fewer than {FEW_CELLS:.0%} of the cells that are usual on its plate.")
    table = Table(["plate", "well", "cells", "usual", "share", *(heads[column] for column in told)], rows)
    return Section(f"Wells with few cells ({len(few):,})", text + _first(few), [table] if rows else [])


def _effect_section(screen: Screen, effects: list[PlateEffect], few: pd.DataFrame | None) -> list[Section]:
    """How far plates lie apart; nothing for a screen of one plate."""
    assert screen.images is not None
    known = [effect for effect in effects if np.isfinite(effect.raw)]
    if not known:
        return []
    strongest = sorted(known, key=lambda effect: -effect.raw)
    text = f"Plate effect: {effects_told(known)} of the variance between wells."
    rows = [Row([Cell(effect.measure), Cell(_percent(effect.raw)), Cell(_percent(effect.scaled)), Cell(effect.highest),
                 Cell(effect.lowest), Cell(f"{effect.distance:.3g}", effect.unit)]) for effect in strongest]
    owner = known[0].wells.index.to_numpy()
    plates = screen.images.table.groupby("row")[PLATE].first().reindex(owner).astype(str).to_numpy(object)
    names = np.array([_well_name(well) for well in screen.wells.iloc[owner].to_dict("records")], object)
    marked = np.isin(owner, [] if few is None else few["row"].to_numpy())
    drawn = strongest[:MOST_STRIPS] + [effect for effect in strongest[MOST_STRIPS:] if effect.measure == CELLS]
    figure = plates_figure(drawn, plates, names, marked)
    return [Section("Plates beside each other", text, [Table(
        ["measure", "plate effect", "as a model reads it", "highest plate", "lowest plate", "apart"], rows)],
        [figure_html(figure, "plates")])]


def _well_name(well: dict[Any, Any]) -> str:
    return str(well.get(WELL) if isinstance(well.get(WELL), str) else well[ROW_KEY])


def _words(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:.4g}" if isinstance(value, float) else str(value)


def _lists(screen: Screen, warnings: pd.DataFrame) -> list[Section]:
    assert screen.images is not None
    sections = []
    if len(warnings):
        told = [(row["plate"], row["well"], row["site"], row["message"]) for row in warnings.to_dict("records")]
        sections.append(_told(f"Warnings ({len(warnings):,})", "Nothing was left out because of these.", told))
    sites = screen.images.table
    flagged = sites[sites[FLAGGED]]
    if len(flagged):
        names = screen.wells[WELL] if WELL in screen.wells else screen.wells[ROW_KEY]
        rows = [Row([Cell(str(row[PLATE])), Cell(str(names.iloc[row["row"]])), Cell(str(row[SITE])),
                     Cell(row[FLAG_COLUMN].replace(";", ", "))]) for row in flagged.head(MOST_ROWS).to_dict("records")]
        sections.append(Section(f"Flagged sites ({len(flagged):,})", _first(flagged).strip(),
                                [Table(["plate", "well", "site", "flags"], rows)], open=len(flagged) <= FEW))
    refused = screen.rejected[screen.rejected["modality"] == "images"]
    if len(refused):
        told = [(row["plate"], row["well"], row["site"], row["reason"]) for row in refused.to_dict("records")]
        sections.append(_told(f"Refused sites ({len(refused):,})", "These are not in the screen.", told))
    return sections


def _told(title: str, text: str, told: list[tuple[str, str, str, str]]) -> Section:
    """Sentences about plate, well and site, in one column."""
    rows = [Row([Cell(" ".join(filter(None, (plate, well, f"site {site}" if site else ""))) + f": {message}")])
            for plate, well, site, message in told[:MOST_ROWS]]
    more = "" if len(told) <= MOST_ROWS else f" The first {MOST_ROWS}; all are in the screen's tables."
    return Section(title, text + more, [Table(["where and what"], rows)], open=len(told) <= FEW)


def _plate_section(images: Images, plate: str, wells: pd.DataFrame, names: list[str]) -> Section:
    figures = []
    if len(wells):
        figures.append(figure_html(plate_figure(wells, names), f"plate-{plate}"))
    before = images.illumination(plate)
    numbers = np.flatnonzero((images.table[PLATE] == plate).to_numpy() & ~images.flagged)
    if np.ptp(before) > 0 and len(numbers) >= MIN_SITES:
        chosen = numbers[np.linspace(0, len(numbers) - 1, min(len(numbers), SITES_FOR_LIGHT)).round().astype(int)]
        seen = np.stack([sample_of(images.sites[int(number)]) for number in chosen])
        after = field_of(seen[usual_sites(seen)])
        figures.append(figure_html(light_figure(before, after, images.channels), f"light-{plate}"))
    return Section(f"Plate {plate}", "" if figures else "Wells have no names, and the light was not corrected: there "
                   "is nothing to draw.", figures=figures)


def _site_table(screen: Screen, quality: pd.DataFrame) -> pd.DataFrame:
    """Sites with their metrics, one row a site and channel."""
    assert screen.images is not None
    sites = screen.images.table
    columns = {PLATE: sites[PLATE], SITE: sites[SITE], FLAG_COLUMN: sites[FLAG_COLUMN],
               ROW_KEY: screen.wells[ROW_KEY].to_numpy(object)[sites["row"].to_numpy()]}
    return pd.DataFrame(columns).iloc[quality["site"].to_numpy()].reset_index(drop=True).join(
        quality.drop(columns="site"))


def _percent(value: float) -> str:
    return "" if not np.isfinite(value) else f"{100 * value:.1f} %"


def _first(table: pd.DataFrame) -> str:
    return f" The first {MOST_ROWS} of {len(table):,}; all are in the tables beside this page." if len(
        table) > MOST_ROWS else ""
