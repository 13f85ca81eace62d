"""The page of an evaluation of counterfactuals."""

from typing import Any

import pandas as pd

from dssl_bio.evaluation.counterfactual_methods import OURS, OURS_PICTURES
from dssl_bio.evaluation.page import OTHER, Cell, Row, Section, Table, render_page
from dssl_bio.evaluation.page import OURS as OUR_ROW
from dssl_bio.learning.decoders.decoder import Decoder
from dssl_bio.retrieval.bundle import Bundle

PAGE = "counterfactuals.html"

EXPLANATIONS = (
    "Feature error: the mean over features of the root mean square error, in standard deviations of training wells.",
    "Lower: by how much our error is below the method's, paired over the same draws of molecules (95 %, bootstrap).",
    "True counterfactuals are the same cells under another molecule, which a simulator can show and a laboratory "
    "cannot. Where the truth is the well itself (neither molecule does anything), leaving the well unchanged has no "
    "error and nothing can beat it; that is a subset of its own.",
    "R2: share of the variance about the plate's or run's mean that is explained, all features together; negative is "
    "worse than that mean. MRR: of the measured profile among held-out treatments, ties against.",
    "Intervention: probes that learned from measured wells read decoded ones. Allowed is a fifth of what exchanging "
    "the whole well moves the reading. In the truth only the shared part changed: what a reading moves there is the "
    "probe's own error. A factor that exchanging the specific part never moves is not in it.",
)


def page(bundle: Bundle, decoder: Decoder, tables: dict[str, pd.DataFrame], facts: dict[str, Any]) -> str:
    """HTML of everything that was measured."""
    sections = []
    for kind, ours in (("pictures", OURS_PICTURES), ("features", OURS)):
        if f"errors_{kind}" in tables:
            words = (f"{facts['pairs']['held_out']} pairs of a well and one of {facts['pairs']['molecules']} held-out "
                     f"molecules; in {facts['pairs']['changed']} the truth differs from the well.")
            if kind == "features":
                words += f" The 90 % intervals held {100 * facts['coverage']:.0f} % of the true values there."
            errors = tables[f"errors_{kind}"]
            shown = [_errors(errors[errors["subset"] == subset], subset, ours) for subset in errors["subset"].unique()]
            sections += [Section(f"Against the truth: {kind}", words, shown),
                         Section(f"By channel: {kind}", "Pairs whose truth differs from the well.",
                                 [_plain(tables[f"by_channel_{kind}"])], open=False)]
    if "errors_textures" in tables:
        table = tables["errors_textures"].assign(pairs=facts["pairs"]["changed"])
        sections.append(Section("Against the truth: textures", "Statistics of pictures that they were not brought to: "
                                "octaves of texture and skewness of each channel.",
                                [_errors(table, "truth differs from the well", OURS_PICTURES)]))
    if "pixels" in tables:
        sections.append(Section("Pixels", "Root mean square error of pixels, 1 is the plate's upper limit.",
                                [_plain(tables["pixels"])], open=False))
    sections.append(Section("Wells of held-out molecules", decoder.facts.calibration, [_held_out(tables["held_out"])]))
    for kind in ("features", "pictures"):
        if len(tables.get(f"intervention_{kind}", ())):
            sections.append(Section(f"Intervention: {kind}", "How far each reading moves when a part is exchanged.",
                                    [_intervention(tables[f"intervention_{kind}"], facts[f"intervention_{kind}"])]))
    return render_page("Counterfactuals", f"{bundle.record['screen_name']}, model {bundle.run.id}", bundle.simulated,
                       sections, EXPLANATIONS, [("bundle", bundle.id), ("run", bundle.run.id),
                                                ("steps of the decoder to pictures", decoder.facts.image_steps),
                                                ("temperature", decoder.facts.temperature)])


def _errors(table: pd.DataFrame, subset: str, ours: str) -> Table:
    rows = []
    for row in table.to_dict("records"):
        lower = Cell(f"{100 * row['lower']:.0f} %", f"[{100 * row['lower_low']:.0f}, {100 * row['lower_high']:.0f}]")
        is_ours = row["method"] == ours
        rows.append(Row([Cell(row["method"]), Cell(str(row["pairs"])),
                         Cell(f"{row['error']:.3f}", f"[{row['error_low']:.3f}, {row['error_high']:.3f}]"),
                         Cell("") if is_ours else lower], OUR_ROW if is_ours else OTHER))
    return Table([subset, "pairs", "feature error", "ours is lower by"], rows)


def _held_out(table: pd.DataFrame) -> Table:
    rows = []
    for row in table.to_dict("records"):
        cells = [Cell(row["method"]), Cell(str(row["wells"])), Cell(str(row["gallery"]))]
        for name in ("r2", "r2_gain", "mrr", "mrr_gain"):
            cells.append(Cell(f"{row[name]:.3f}", f"[{row[f'{name}_low']:.3f}, {row[f'{name}_high']:.3f}]"))
        rows.append(Row([*cells, Cell(f"{100 * row['top_10']:.1f} %")], OUR_ROW if row["method"] == OURS else OTHER))
    return Table(["method", "wells", "gallery", "R2", "ours higher by", "MRR", "ours higher by", "top-10"], rows)


def _intervention(table: pd.DataFrame, verdict: dict[str, Any]) -> Table:
    rows = []
    for row in table.to_dict("records"):
        one = verdict[row["factor"]]
        rows.append(Row([Cell(row["factor"]), Cell(f"{row['reads']:.2f}", f"chance {row['chance']:.2f}"),
                         *(Cell(f"{row[name]:.3f}") for name in ("well", "shared", "specific")),
                         Cell(f"{row['truth']:.3f}" if "truth" in row else ""),
                         Cell(one["verdict"], f"allowed {one['allowed']:.3f}")], OTHER))
    return Table(["factor", "probe reads (R2 or balanced accuracy)", "move: whole well", "move: shared part",
                  "move: specific part", "move: in the truth", "when the other's part is exchanged"], rows)


def _plain(table: pd.DataFrame) -> Table:
    rows = [Row([Cell(f"{value:.3f}" if isinstance(value, float) else str(value)) for value in row], OTHER)
            for row in table.itertuples(index=False)]
    return Table([str(name) for name in table], rows)
