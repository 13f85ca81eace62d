"""Page: what was trained on what, how it was divided, and what is not known."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from dssl_bio.app import cards, factor_panels, plots, query, words

from dssl_bio.artefact import read_record
from dssl_bio.retrieval.benchmark_table import by_method, read_benchmark, settings_of
from dssl_bio.retrieval.tables import EXPECTED_RECALL, IN_SCREEN, RUN_FOLDER, Tables

SPLITS = {"train": "Training", "valid": "Validation (chose the epoch)", "test": "Held out"}
CURVES = {
    "step_1/validation_mrr": "Validation MRR", "step_1/total": "Loss", "step_1/infonce": "InfoNCE",
    "step_1/divergence": "Divergence of the two posteriors", "step_2/total": "Loss", "step_2/infonce": "InfoNCE",
    "step_2/dependence": "Dependence of specific on shared", "step_2/orthogonality": "Orthogonality",
}
FLOOR = "log_minibatch"
BENCHMARK_WORDS = {"top-1 %": "Share of molecules whose own phenotype stands first.",
                   "top-5 %": "... among the first five.", "top-10 %": "... among the first ten.",
                   "MRR": "Mean of 1 / rank: 1 when the own phenotype always stands first."}


def data(bundle: Tables) -> None:
    """The screen that is searched and the one that was learned from."""
    record = bundle.record
    st.header("Data", anchor=False)
    st.html(cards.facts([
        ("Screen", str(record.get("title") or record["screen_name"])), ("Citation", str(record.get("citation") or "")),
        ("Licence", str(record.get("licence") or "not told by the manifest")),
        ("Entries", f"{len(bundle.entries):,} ({record['entries']})"),
        ("Molecules", f"{int(bundle.molecules[IN_SCREEN].sum()):,} of the screen"),
        ("Negative controls", f"{len(bundle.controls):,} wells"), ("Trained on", str(record["trained_on"])),
        ("Read as", bundle.modality),
        ("Channels", ", ".join(bundle.channels)),
        ("Features", f"{len(bundle.features):,}" if bundle.features else "")]))


def division(bundle: Tables, run: dict[str, Any]) -> None:
    """How many molecules trained the model, chose it, and were held out."""
    st.header("Split by molecule", anchor=False)
    counts = bundle.split["split"].value_counts()
    config = _json(bundle, "config.json")
    reached = run.get("metrics", {}).get("step_1", {}).get("validation_mrr")
    st.html(cards.facts([*((label, f"{int(counts.get(name, 0)):,} molecules") for name, label in SPLITS.items()),
                         ("Method", str(config.get("split", {}).get("method", "not told"))),
                         ("Molecule encoder", str(config.get("molecule_encoder", "not told"))),
                         ("Validation MRR", f"{reached:.3f}" if isinstance(reached, float) else "")],
                        {"Validation MRR": "Mean reciprocal rank among the validation molecules at the chosen epoch. "
                                           "It chose the model, so it flatters it; it is no benchmark."}))


def curves(bundle: Tables) -> None:
    """Every value that was logged once an epoch, for both steps."""
    st.header("Training curves", anchor=False)
    for step, title in ((1, "Step 1: shared representations"), (2, "Step 2: specific representations")):
        path = Path(bundle.folder) / RUN_FOLDER / "curves" / f"step_{step}" / "metrics.csv"
        if not path.is_file():
            st.caption(f"{title}: no curves are kept.")
            continue
        table = pd.read_csv(path).groupby("epoch", as_index=False).mean()
        names = [name for name in table.columns if name not in ("epoch", "step") and not name.endswith(FLOOR)]
        names.sort(key=lambda name: list(CURVES).index(name) if name in CURVES else len(CURVES))
        chosen = st.selectbox(title, names, key=f"curve_{step}", format_func=lambda name: CURVES.get(name, name))
        figure = go.Figure(go.Scatter(x=table["epoch"] + 1, y=table[chosen], mode="lines+markers",
                                      line={"color": plots.BLUE}, name=CURVES.get(chosen, chosen)))
        floor = f"step_{step}/{FLOOR}"
        if chosen.endswith("infonce") and floor in table:
            figure.add_scatter(x=table["epoch"] + 1, y=table[floor], mode="lines", name="nothing learned",
                               line={"color": plots.GREY, "dash": "dash"})
        figure.update_layout(height=240, xaxis_title="epoch", yaxis_title=CURVES.get(chosen, chosen),
                             legend={"orientation": "h", "y": 1.15}, showlegend=len(figure.data) > 1)
        st.plotly_chart(plots.plain(figure), key=f"plot_{step}", config=plots.STILL,
                        alt=f"{CURVES.get(chosen, chosen)} of step {step} by epoch")


def recall(bundle: Tables) -> None:
    """What a benchmark found at each distance from the training molecules, beside chance."""
    path = bundle.folder / EXPECTED_RECALL
    if not path.is_file():
        return
    known = json.loads(path.read_text(encoding="utf-8"))
    bins = pd.DataFrame(known["bins"])
    st.header("Expected recall", anchor=False)
    middle = (bins["start"] + bins["stop"]) / 2
    figure = go.Figure(go.Scatter(
        x=middle, y=100 * bins["recall"], mode="lines+markers", line={"color": plots.BLUE}, name="held-out molecules",
        error_y={"type": "data", "symmetric": False, "array": 100 * (bins["high"] - bins["recall"]),
                 "arrayminus": 100 * (bins["recall"] - bins["low"])},
        customdata=bins["n_molecules"],
        hovertemplate="Tanimoto %{x:.2f}<br>%{y:.0f} % of %{customdata}<extra></extra>"))
    figure.add_hline(y=100 * known["chance"], line_dash="dash", line_color=plots.GREY,
                     annotation_text="chance", annotation_position="bottom right")
    figure.update_layout(height=260, xaxis_title="Tanimoto to the nearest training molecule",
                         yaxis_title=f"own phenotype among the first {known['k']}, %", showlegend=False)
    figure.update_yaxes(rangemode="tozero")
    st.plotly_chart(plots.plain(figure), key="recall", config=plots.STILL, alt="Recall among the first "
                    f"{known['k']} of {known['gallery']:.0f} entries by similarity to the training molecules")
    st.caption(f"{words.plain(known['source'])}; bars: 95 % intervals; {known['gallery']:.0f} entries searched.")


def benchmark(bundle: Tables) -> None:
    """What was measured on held-out molecules, every method beside chance."""
    results = read_benchmark(bundle.folder)
    if results is None:
        return
    st.header("Benchmark", anchor=False)
    offered = settings_of(results)
    chosen = st.selectbox("Direction and library", offered, key="benchmark_setting",
                          format_func=lambda pair: f"{pair[0]}, {pair[1]}")
    table = by_method(results, *chosen)
    if table.empty:
        st.caption("Nothing was measured there for all molecules together.")
        return
    columns = [(name, BENCHMARK_WORDS.get(name, "")) for name in table.columns]
    st.html(cards.table("Held-out molecules, by folds", columns, table.fillna("").to_numpy().tolist()))
    st.caption("In brackets: 95 % intervals over molecules. Chance is exact for the library that was searched.")


def limits(bundle: Tables) -> None:
    """What the numbers of this bundle cannot tell."""
    null = bundle.record["null"]
    unknown = "" if (bundle.folder / EXPECTED_RECALL).is_file() else (
        "- How often a molecule finds its own phenotype is not known for this bundle: no benchmark comes with it.\n")
    st.header("Known limits", anchor=False)
    st.markdown(unknown + "- Scores are cosines, not probabilities.\n- Molecules that were in training score better "
                "with their own phenotypes than new ones will.\n- "
                + words.plain(words.null_of(null["name"], null["n_draws"], null["resolution"]))
                + ("" if bundle.wells is not None and cell_counted(bundle) else
                   "\n- Cells were not counted in this screen: a phenotype of dying cells is not marked as such."))


def cell_counted(bundle: Tables) -> bool:
    """Whether the screen tells how many cells each well has."""
    from dssl_bio.vocabulary import CELL_COUNT

    return bundle.wells is not None and CELL_COUNT in bundle.wells


def origin(bundle: Tables, run: dict[str, Any]) -> None:
    """Versions and checksums."""
    st.header("Versions and checksums", anchor=False)
    maker = bundle.record["made_by"]
    st.html(cards.facts([("Bundle", bundle.id), ("Model", str(bundle.record["model_id"])),
                         ("Trained", str(run["made_by"]["created"])), ("Indexed", str(maker["created"])),
                         ("DSSL-Bio", str(maker["dssl_bio"])), ("Python", str(maker["python"])),
                         *((name, str(version)) for name, version in maker["packages"].items())]))
    with st.expander("SHA-256 of every file"):
        st.dataframe(pd.DataFrame(sorted(bundle.record["files"].items()), columns=["file", "SHA-256"]),
                     hide_index=True, alt="Checksums of the bundle's files")


def _json(bundle: Tables, name: str) -> dict[str, Any]:
    try:
        return dict(json.loads((bundle.folder / RUN_FOLDER / name).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def page() -> None:
    """All of it, in two columns."""
    bundle, _ = cards.begin("Model card", "What this bundle was made from, and what it cannot tell.")
    with query.sentences():
        run = read_record(bundle.folder / RUN_FOLDER, "run")
    left, right = st.columns(2, gap="large")
    with left:
        data(bundle)
        division(bundle, run)
        limits(bundle)
        origin(bundle, run)
    with right:
        benchmark(bundle)
        recall(bundle)
        curves(bundle)
    factor_panels.matrix(bundle)


page()
