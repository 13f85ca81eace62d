"""What `dssl-bio factors` leaves behind: tables, heat map and summary of bundles; one page of one molecule or well."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from dssl_bio.artefact import new_folder, seal, written_whole
from dssl_bio.chem.depict import svg
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import MoleculeError
from dssl_bio.evaluation.factor_figures import (
    families_figure,
    matrix_figure,
    places_figure,
    positions_figure,
    retrieval_figure,
    right_and_wrong_figure,
    trade_off_figure,
)
from dssl_bio.evaluation.page import Cell, Row, Section, Table, figure_html, render_page
from dssl_bio.factors.attribution import GRID
from dssl_bio.factors.axes import Axes
from dssl_bio.factors.index import Factors
from dssl_bio.factors.query import SHARE_TEXT, OneFactors
from dssl_bio.imaging.compose import composite, png
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.pictures import picture_numbers
from dssl_bio.vocabulary import COMPOUND, INCHIKEY, MOLECULE_ID, SMILES

PAGE = "factors.html"
EXPLANATIONS = (
    "A number is scored by R² (0 is chance, below 0 worse than the mean), a category by the mean over its classes of "
    "the area under the ROC curve, one class against the rest (0.5 is chance). Above chance is (score − chance) / "
    "(1 − chance).",
    "Probes are ridge regressions, cross-validated over molecules: no molecule is in two folds, and the penalty is "
    "chosen inside. They read what is linear; a factor that none of them reads may still be there in another form.",
    "The interval of chance is that of factors permuted among rows, or among molecules where a factor is the "
    "molecule's.",
    "Held out: the same predictions, scored over molecules that the model has not learnt from.",
    "molecule-raw: principal components of the fingerprint's log counts; phenotype-raw: principal components of the "
    "profile, or classical statistics of the picture as the model is given it.",
    "A factor of the molecule belongs in molecule-specific, one of the phenotype in phenotype-specific, a shared one "
    "in both shared representations. A substructure that decides the phenotype is rightly in the shared one too.",
)


def summary_lines(name: str, factors: Factors) -> list[str]:
    """The headline for a terminal."""
    lines = [f"{name}: {factors.matrix['factor'].nunique()} factors known"]
    for belongs, own in factors.summary.groupby("belongs", sort=False):
        count = int((own["verdict"] == "disentangled").sum())
        lines.append(f"  {belongs} factors: {count} of {len(own)} disentangled; known where they belong "
                     f"{own['above_right'].mean():.2f}, where they do not {own['above_wrong'].mean():.2f} (mean above "
                     "chance)")
    for _, row in factors.retrieval.iterrows():
        lines.append(f"  retrieval, {row['way']}: MRR {row['mrr']:.3f} (chance {row['chance_mrr']:.3f})")
    return lines


def trade_off(named: Mapping[str, Factors], least: float = 0.1) -> pd.DataFrame:
    """Of each bundle and kind of factor the means of what is known where it belongs and where it does not.

    The same factors are averaged for all bundles: those that every bundle has, and of which the raw data know at least
    `least` above chance in the first.
    """
    keys = [set(_keys(one.summary)) for one in named.values()]
    common = set.intersection(*keys) if keys else set()
    first = next(iter(named.values())).summary
    known = {key for key, raw in zip(_keys(first), first["above_raw"], strict=True) if not raw < least}
    rows = []
    for name, one in named.items():
        kept = [key in common & known for key in _keys(one.summary)]
        for belongs, own in one.summary[kept].groupby("belongs", sort=False):
            rows.append({"run": name, "belongs": belongs, "right": own["above_right"].mean(),
                         "wrong": own["above_wrong"].mean(), "n_factors": len(own)})
    return pd.DataFrame(rows, columns=["run", "belongs", "right", "wrong", "n_factors"])


def _keys(summary: pd.DataFrame) -> list[tuple[str, str, str]]:
    return list(zip(summary["factor"], summary["rows"], summary["side"], strict=True))


def write_factor_report(named: Mapping[str, Factors], bundles: Mapping[str, Bundle], folder: Path,
                        atoms: pd.DataFrame | None = None) -> None:
    """Writes tables (Parquet and CSV) and one page; of several bundles the trade-off too.

    Args:
        named: name of each bundle -> its factors; the first one's matrix is drawn.
        bundles: by the same names.
        folder: replaced when it holds an earlier report.
        atoms: of the first bundle, see `factors.atoms.atom_summary`.
    """
    first = next(iter(named))
    with new_folder(folder, "factors") as work:
        for table, values in (("matrix", [one.matrix for one in named.values()]),
                              ("summary", [one.summary for one in named.values()]),
                              ("retrieval", [one.retrieval for one in named.values()])):
            joined = pd.concat([part.assign(bundle=name) for name, part in zip(named, values, strict=True)],
                               ignore_index=True)
            joined.to_parquet(work / f"{table}.parquet")
            joined.to_csv(work / f"{table}.csv", index=False)
        points = trade_off(named)
        if len(named) > 1:
            points.to_csv(work / "trade_off.csv", index=False)
        if atoms is not None:
            atoms.to_csv(work / "atoms.csv", index=False)
        page = factor_page(first, named, bundles[first], points, atoms)
        (work / PAGE).write_text(page, encoding="utf-8")
        seal(work, "factors", {"bundles": {name: bundle.id for name, bundle in bundles.items()}},
             simulated=bundles[first].simulated)


def factor_page(first: str, named: Mapping[str, Factors], bundle: Bundle, points: pd.DataFrame,
                atoms: pd.DataFrame | None = None) -> str:
    """The page of a bundle's factors."""
    factors = named[first]
    sections = [Section("Disentangled?", "What is known where it belongs, and what has leaked to where it does not. "
                        "Below the dotted line less than a third is where it should not be.",
                        [_summary_table(factors.summary)], [figure_html(right_and_wrong_figure(factors.summary),
                                                                        "right")])]
    if len(factors.retrieval):
        sections.append(Section("Retrieval by each part", "Held-out molecules ask for their own phenotypes. Specific "
                                "parts should find nothing, by their cosine or after the best linear map.",
                                figures=[figure_html(retrieval_figure(factors.retrieval), "retrieval")]))
    if atoms is not None:
        sections.append(Section("Atoms of the pharmacophore", "Held-out active molecules: the share of the weight on "
                                "the atoms that decide the phenotype less the share of those atoms (0 is chance), and "
                                "how well weights rank them (AUROC, 0.5 is chance), beside encoders of random weights.",
                                [_atoms_table(atoms)]))
    if len(named) > 1:
        sections.append(Section("Trade-off over runs", "Means over the factors that all bundles have and raw data "
                                "know.", figures=[figure_html(trade_off_figure(points), "tradeoff")]))
    sections.append(Section("Every factor", "The colour is the score above chance, the number the score.",
                            figures=[figure_html(matrix_figure(factors.matrix), "matrix")]))
    for side, axes in factors.axes.items():
        sections.append(Section(f"Axes of the {side}-specific space", "Directions that have a name: the most decodable "
                                "factors first, then sparse components of what they leave.", [_axes_table(axes)],
                                [_extremes(bundle, axes)] if side == "molecule" or bundle.pictures is not None else []))
    return render_page(f"What the representations know: {bundle.record.get('title') or bundle.record['screen_name']}",
                       f"{factors.matrix['factor'].nunique()} known factors, probed from shared and specific "
                       "representations of molecules and phenotypes.", bundle.simulated, sections, EXPLANATIONS,
                       [("Bundle", f"{bundle.record['screen_name']} ({bundle.id})"), ("Model", bundle.run.id)])


def _summary_table(summary: pd.DataFrame) -> Table:
    rows = [Row([Cell(str(one["factor"]), str(one["rows"])), Cell(str(one["belongs"])),
                 Cell(f"{one['score_right']:.2f}", one["right"]),
                 Cell(f"{one['score_wrong']:.2f}", one["wrong"]), Cell(_number(one["share_of_raw"])),
                 Cell(_number(one["leak"])), Cell(str(one["verdict"]))])
            for _, one in summary.sort_values("above_right", ascending=False).iterrows()]
    return Table(["Factor", "Belongs to", "Known there", "Known elsewhere", "Of raw", "Leak", ""], rows)


def _atoms_table(atoms: pd.DataFrame) -> Table:
    rows = [Row([Cell(one["part"]), Cell(one["measure"]), Cell(str(one["molecules"])), Cell(f"{one['learned']:.3f}"),
                 Cell(f"{one['random']:.3f}"),
                 Cell(f"{one['difference']:+.3f}", f"[{one['low']:+.3f}, {one['high']:+.3f}]")])
            for one in atoms.to_dict("records")]
    return Table(["Part", "", "Molecules", "Learned", "Random weights", "Difference"], rows)


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.2f}"


def _axes_table(axes: Axes) -> Table:
    rows = [Row([Cell(axis.name), Cell(axis.kind), Cell(f"{axis.score:.2f}", axis.metric),
                 Cell(", ".join(axis.low[:3])), Cell(", ".join(axis.high[:3]))]) for axis in axes.axes]
    return Table(["Axis", "Kind", "Score", "Lower end", "Upper end"], rows)


def _extremes(bundle: Bundle, axes: Axes, n: int = 3) -> str:
    """What lies at both ends of each axis: structures of molecules, pictures of wells (or of their entries)."""
    table = bundle.molecules.drop_duplicates(MOLECULE_ID).set_index(MOLECULE_ID)
    numbers = {} if bundle.pictures is None else picture_numbers(bundle)
    blocks = []
    for axis in axes.axes:
        ends = []
        for label, keys in (("lower end", axis.low), ("upper end", axis.high)):
            drawn = [_structure(table.loc[key], None) if key in table.index else _well(bundle, key, numbers)
                     for key in keys[:n] if key in table.index or key in numbers]
            ends.append(f'<div><small>{label}</small><div style="display:flex">{"".join(drawn)}</div></div>')
        blocks.append(f"<h3>{escape(axis.name)}</h3><div style='display:flex;flex-wrap:wrap;gap:2rem'>"
                      f"{''.join(ends)}</div>")
    return f"<details><summary>What lies at the ends of each axis</summary>{''.join(blocks)}</details>"


def _structure(row: pd.Series, caption: str | None) -> str:
    name = str(row[COMPOUND]) if COMPOUND in row and pd.notna(row[COMPOUND]) else str(row[INCHIKEY])[:14]
    try:
        drawing = svg(Molecule(row[SMILES], row[INCHIKEY]), 170, 120)
    except MoleculeError as error:
        drawing = escape(str(error))
    return (f'<figure style="margin:.3rem" role="img" aria-label="Structure of {escape(name)}">{_inline(drawing)}'
            f"<figcaption><small>{escape(caption or name)}</small></figcaption></figure>")


def _well(bundle: Bundle, key: str, numbers: Mapping[str, int]) -> str:
    return (f'<figure style="margin:.3rem">{picture_html(bundle, numbers[key], 120)}'
            f"<figcaption><small>{escape(key)}</small></figcaption></figure>")


def _inline(drawing: str) -> str:
    """An SVG without its XML declaration."""
    return drawing[drawing.index("<svg"):] if "<svg" in drawing else drawing


def write_one(one: OneFactors, bundle: Bundle, path: Path) -> None:
    """Writes the page of one molecule or phenotype as one self-contained file."""
    with written_whole(path) as temporary:
        temporary.write_text(one_page(one, bundle), encoding="utf-8")


def one_page(one: OneFactors, bundle: Bundle) -> str:
    """The page of one molecule or phenotype."""
    share = one.share
    told = (f"Shared {share.shared_nats:.2f} nats, specific {share.specific_nats:.2f} nats, at most "
            f"{share.most_nats:.2f}: about {share.share:.0%} of what tells it from others is shared. {SHARE_TEXT}"
            if not np.isnan(share.share) else "Neither part tells it from others.")
    sections = [Section("How much of it is shared", told, [Table(["", ""], [
        Row([Cell(label), Cell(text)]) for label, text in one.facts])])]
    if one.weights is not None:
        sections.append(Section(*_weights_section(one, bundle)))
    if len(one.positions):
        sections.append(Section("Where it lies on named axes of its specific part", "Percentiles of the training set.",
                                figures=[figure_html(positions_figure(one.positions), "positions")]))
    for part, table in (("shared", one.shared_neighbours), ("specific", one.specific_neighbours)):
        sections.append(Section(f"Nearest by the {part} part", figures=[neighbours_html(table, one.side)]))
    if one.notes:
        sections.append(Section("What could not be told", " ".join(one.notes)))
    return render_page(f"Factors of {one.title}", f"One {one.side} of {bundle.record['screen_name']}.",
                       bundle.simulated, sections, EXPLANATIONS[:2], [("Bundle", bundle.id), ("Model", bundle.run.id)])


def _weights_section(one: OneFactors, bundle: Bundle) -> tuple[str, str, Sequence[Table], Sequence[str]]:
    """Title, text, no tables, and the figure of what both parts rest on."""
    weights = one.weights
    assert weights is not None
    text = ("How far each part turns when a piece is not seen (1 − cosine); of atoms in the shared part, what is lost "
            "of the cosine with the phenotypes that the molecule points at. The scale of the two parts is their own.")
    if one.side == "molecule" and one.molecule is not None:
        drawn = []
        for name, values in (("shared", weights.shared), ("specific", weights.specific)):
            drawing = svg(one.molecule, 420, 300, weights=values.tolist())
            drawn.append(f'<figure role="img" aria-label="Atoms that the {name} part rests on">{_inline(drawing)}'
                         f"<figcaption>{name}: {values.sum():.3f} in all</figcaption></figure>")
        return "Atoms it rests on", text, (), [f"<div style='display:flex;flex-wrap:wrap'>{''.join(drawn)}</div>"]
    if one.parts == ("places",):
        channels = bundle.run.facts.channels
        figure = places_figure(weights.shared, weights.specific, channels, GRID)
        return "Channels and places it rests on", text, (), [picture_html(bundle, one.picture),
                                                              figure_html(figure, "places")]
    return "Feature families it rests on", text, (), [figure_html(
        families_figure(weights.shared, weights.specific, one.parts), "families")]


def picture_html(bundle: Bundle, number: int, width_px: int = 320) -> str:
    """A picture of the bundle, five channels in one, as HTML; nothing where there is none."""
    if bundle.pictures is None or number < 0:
        return ""
    data = base64.b64encode(png(composite(np.asarray(bundle.pictures[number]), bundle.run.facts.channels))).decode()
    return (f'<img alt="Cells, all channels in colour" src="data:image/png;base64,{data}" '
            f'style="max-width:{width_px}px">')


def neighbours_html(table: pd.DataFrame, side: str) -> str:
    """Neighbours with both cosines: structures of molecules, names of phenotypes."""
    blocks = []
    for _, row in table.iterrows():
        cosines = f"shared {row['shared_cosine']:.2f}, specific {row['specific_cosine']:.2f}"
        if side == "molecule":
            name = str(row[COMPOUND]) if COMPOUND in row and pd.notna(row[COMPOUND]) else str(row[MOLECULE_ID])
            blocks.append(_structure(row, f"{name[:40]}: {cosines}"))
        else:
            known = [str(row[name]) for name in ("entry_key", "Metadata_Compound", "Metadata_MoA", "Metadata_Plate")
                     if name in row and pd.notna(row[name])]
            blocks.append(f"<li>{escape(', '.join(known))} <small>({cosines})</small></li>")
    return (f"<div style='display:flex;flex-wrap:wrap'>{''.join(blocks)}</div>" if side == "molecule"
            else f"<ul>{''.join(blocks)}</ul>")
