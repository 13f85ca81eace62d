"""Page: the hits that were kept; to look at, to note on, to save and to load."""

import streamlit as st
from dssl_bio.app import cards, kept, query, words
from dssl_bio.app.resources import tables

from dssl_bio.retrieval.output import without_formulas
from dssl_bio.screens.entries import ENTRY_KEY

START_PAGE = "app_pages/molecule_to_phenotypes.py"
UPLOAD_MB = 2


def load() -> None:
    """Adds a saved collection to this session's."""
    file = st.file_uploader("Load a collection", type=["json"], max_upload_size=UPLOAD_MB, key="collection")
    if file is None or st.session_state.get("loaded") == file.file_id:
        return
    items = kept.loaded(file.getvalue())
    known = {(item["bundle"], item["entry"], item["query"]) for item in kept.collection()}
    new = [item for item in items if (item["bundle"], item["entry"], item["query"]) not in known]
    kept.collection().extend(new[:kept.MAX_KEPT - len(known)])
    st.session_state["loaded"] = file.file_id
    st.rerun()


def table(path: str) -> None:
    """The collection, with notes that can be written and rows that can be removed."""
    bundle, items = tables(path), kept.collection()
    shown = kept.as_table(items)
    keys = set(bundle.entries[ENTRY_KEY].astype(str))
    here = [item["bundle"] == bundle.id and item["entry"] in keys for item in items]
    shown = shown.assign(bundle=["this one" if own else item["bundle"] for own, item in zip(here, items, strict=True)])
    edited = st.data_editor(
        shown, hide_index=True, num_rows="dynamic", key=f"kept_{len(items)}", width="stretch",
        disabled=["query", "name", "entry", "score", "bundle"], alt="Kept hits", column_config={
            "query": "Molecule asked", "name": "Phenotype", "entry": "Entry",
            "score": st.column_config.NumberColumn("Cosine", format="%.3f", help=words.COSINE),
            "note": st.column_config.TextColumn("Note", max_chars=kept.MAX_NOTE), "bundle": "Bundle"})
    kept.replace(items, edited)
    if not all(here):
        st.caption(f"{here.count(False)} were kept from another bundle; open that one to see them.")
    with st.container(horizontal=True, gap="small"):
        st.download_button("Save", kept.saved(kept.collection()), "collection.json", "application/json",
                           icon=":material/save:", on_click="ignore")
        harmless = kept.as_table(kept.collection())
        for column in ("query", "name", "entry", "note"):
            harmless[column] = without_formulas(harmless[column])
        st.download_button("CSV", harmless.to_csv(index=False), "collection.csv", "text/csv",
                           icon=":material/download:", on_click="ignore")
        if st.button("Remove all", icon=":material/delete:"):
            kept.collection().clear()
            st.rerun()
    asked = list(dict.fromkeys(item["query"] for item in kept.collection() if item["query"]))
    if asked:
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        chosen = left.selectbox("Search again", asked, format_func=lambda text: words.shortened(text, 80))
        if right.button("Search", width="stretch"):
            st.switch_page(START_PAGE, query_params={"molecule": chosen})


def page() -> None:
    """Load, look, save."""
    _, path = cards.begin("Kept hits", "What you kept while looking. It lives as long as this browser tab: save it to "
                          "keep it longer or to pass it on.")
    with query.sentences():
        load()
    if not kept.collection():
        st.info("Nothing is kept yet. Press Keep below a hit.")
        return
    table(path)


page()
