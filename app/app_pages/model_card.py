"""Page: what was trained on what, how it was divided, and what is not known."""

from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from dssl_bio.app import cards, plots, words

from dssl_bio.retrieval.build import IN_SCREEN
from dssl_bio.retrieval.bundle import RUN_FOLDER, Bundle


def data(bundle: Bundle) -> None:
    """The screen that is searched and the one that was learned from."""
    record = bundle.record
    st.subheader("Data", anchor=False)
    st.html(cards.facts([
        ("Screen", str(record.get("title") or record["screen_name"])), ("Citation", str(record.get("citation") or "")),
        ("Licence", str(record.get("licence") or "not told by the manifest")),
        ("Entries", f"{len(bundle.entries):,} ({record['entries']})"),
        ("Molecules", f"{int(bundle.molecules[IN_SCREEN].sum()):,} of the screen"),
        ("Negative controls", f"{len(bundle.controls):,} wells"), ("Trained on", str(record["trained_on"])),
        ("Read as", bundle.run.facts.modality)]))


def division(bundle: Bundle) -> None:
    """How many molecules trained the model, chose it, and were held out."""
    st.subheader("Split by molecule", anchor=False)
    counts = bundle.run.split["split"].value_counts()
    st.html(cards.facts([(name, f"{int(counts.get(name, 0)):,} molecules") for name in ("train", "valid", "test")]
                        + [("Method", bundle.run.config.split.method)]))


def curves(bundle: Bundle) -> None:
    """Every value that was logged once an epoch, for both steps."""
    st.subheader("Training curves", anchor=False)
    for step, title in ((1, "Step 1: shared representations"), (2, "Step 2: specific representations")):
        path = Path(bundle.folder) / RUN_FOLDER / "curves" / f"step_{step}" / "metrics.csv"
        if not path.is_file():
            st.caption(f"{title}: no curves are kept.")
            continue
        table = pd.read_csv(path).groupby("epoch", as_index=False).mean()
        names = [name for name in table.columns if name not in ("epoch", "step")]
        chosen = st.selectbox(title, names, key=f"curve_{step}")
        figure = go.Figure(go.Scatter(x=table["epoch"], y=table[chosen], mode="lines+markers",
                                      line={"color": plots.BLUE}))
        figure.update_layout(height=260, xaxis_title="epoch", yaxis_title=chosen)
        st.plotly_chart(plots.plain(figure), key=f"plot_{step}", config={"displayModeBar": False},
                        alt=f"{chosen} of step {step} by epoch")


def limits(bundle: Bundle) -> None:
    """What the numbers of this bundle cannot tell."""
    st.subheader("Known limits", anchor=False)
    st.markdown("- How often a molecule finds its own phenotype is not known for this bundle: no benchmark comes with "
                "it.\n- Scores are cosines, not probabilities.\n- Molecules that were in training score better with "
                "their own phenotypes than new ones will.\n- " + words.plain(words.null_sentence(bundle.null)))


def origin(bundle: Bundle) -> None:
    """Versions and checksums."""
    st.subheader("Versions and checksums", anchor=False)
    maker = bundle.record["made_by"]
    st.html(cards.facts([("Bundle", bundle.id), ("Model", bundle.run.id), ("Made", str(maker["created"])),
                         ("DSSL-Bio", str(maker["dssl_bio"])), ("Python", str(maker["python"])),
                         *((name, str(version)) for name, version in maker["packages"].items())]))
    with st.expander("SHA-256 of every file"):
        st.dataframe(pd.DataFrame(sorted(bundle.record["files"].items()), columns=["file", "SHA-256"]),
                     hide_index=True, alt="Checksums of the bundle's files")


def page() -> None:
    """All of it, in two columns."""
    bundle, _ = cards.begin("Model card", "What this bundle was made from, and what it cannot tell.")
    left, right = st.columns(2, gap="large")
    with left:
        data(bundle)
        division(bundle)
        limits(bundle)
    with right:
        curves(bundle)
        origin(bundle)


page()
