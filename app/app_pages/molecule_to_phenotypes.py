"""Page: give a molecule, see the phenotypes that cells should show with it."""

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st
from dssl_bio.app import alike, cards, factor_panels, hits, pictures, query, share, words
from dssl_bio.app.editor import editor, remember
from dssl_bio.app.resources import Answer, answer, opened, searcher, trust, waiting
from streamlit.delta_generator import DeltaGenerator

from dssl_bio.retrieval.tables import IN_SCREEN, Tables
from dssl_bio.vocabulary import MOA

if TYPE_CHECKING:
    from dssl_bio.retrieval.search import Hit

BATCH_PAGE = "app_pages/batch.py"
N_PICTURED = 6
MECHANISMS = (("Mechanism", ""), ("Hits", ""), ("In the screen", "Entries that were searched."),
              ("Expected by chance", "Hits of this mechanism among as many annotated entries taken at random."),
              ("p", "One-sided hypergeometric test among annotated entries; not corrected for several mechanisms."))


def welcome(bundle: Tables, path: str) -> None:
    """What can be searched, before anything was asked."""
    read = (f"{len(bundle.channels)}-channel images" if bundle.channels else f"{len(bundle.features):,} features")
    st.html(cards.figures([("molecules measured", f"{int(bundle.molecules[IN_SCREEN].sum()):,}"),
                           ("phenotypes to search", f"{len(bundle.entries):,}"),
                           ("untreated wells", f"{len(bundle.controls):,}"), ("read from", read)]))
    display = pictures.Display(bundle.channels, 1.0, 1)
    if shown := pictures.strip(path, query.pictured_examples(bundle, N_PICTURED), display):
        st.html(f"<p>Cells of this screen:</p>{shown}")


def many(text: str) -> bool:
    """Offers the batch page where several molecules were pasted; True when they were."""
    found = query.several(text)
    if found:
        st.info(f"These are {len(found)} molecules. They are asked together on the page Batch.")
        if st.button(f"Ask all {len(found)}", type="primary", icon=":material/table_rows:"):
            st.session_state["pasted"] = "\n".join(found)
            st.switch_page(BATCH_PAGE)
    return bool(found)


def molecule_card(found: Answer) -> None:
    """The standardised molecule and what the bundle knows of it."""
    identified, molecule = found.identified, found.identified.molecule
    name = identified.compound or words.shortened(molecule.smiles, 40)
    with st.container(border=True):
        st.html(cards.title(name, tags=[(identified.mechanism, "")]))
        cards.structure(molecule, name, 340, 220)
        st.markdown(words.changes_sentence(identified))
        st.markdown(words.standing(identified))
        st.html(cards.facts([("SMILES", molecule.smiles), ("InChIKey", molecule.inchikey)])
                + cards.links(molecule.inchikey))


def summary(path: str, found: Answer, table: pd.DataFrame, dose_um: float | None) -> DeltaGenerator:
    """What the search found as a whole; gives the place where how far to trust it is told once that is known."""
    from dssl_bio.retrieval.ranks import own_rank

    bundle = opened(path)
    rank = own_rank(found.searched, found.vectors.shared[0], found.own_places)
    with st.container(border=True):
        st.html(cards.title("What was found"))
        significant = sum(hit.q <= 0.05 for hit in found.hits)
        own = "not measured" if rank is None else f"rank {rank:,} of {len(found.gallery):,}"
        st.html(cards.figures([("best cosine", f"{found.hits[0].score:.2f}"),
                               ("hits with q up to 0.05", f"{significant} of {len(found.hits)} shown"),
                               ("its own phenotype", own)],
                              {"best cosine": words.COSINE, "hits with q up to 0.05": words.Q,
                               "its own phenotype": words.OWN}))
        if told := words.standing_out(min(hit.q for hit in found.hits)):
            st.info(told)
        place = st.empty()
        place.markdown("Comparing it with the training molecules ...")
        if told := searcher(path, dose_um).dose_words():
            st.markdown(words.sentence_of(told))
        st.caption(words.plain(words.null_sentence(bundle.null)))
        if len(table):
            st.html(cards.table("Mechanisms among the hits", MECHANISMS, [
                (row.mechanism, f"{row.hits}", f"{row.in_gallery:,}", f"{row.expected:.2f}", words.number(row.p))
                for row in table.itertuples()]))
        with st.expander("What do cosine, p and q mean?"):
            st.markdown(f"**Cosine.** {words.COSINE}\n\n**p.** {words.P}\n\n**q.** {words.Q}\n\n"
                        "**Not resolvable** means that no draw of the null scored as high: p is smaller than the null "
                        "can tell, and never zero.")
        share.bar(path, found)
    return place


def listing(path: str, found: Answer, table: pd.DataFrame,
            display: pictures.Display | None) -> tuple[int, DeltaGenerator] | None:
    """The hits in their order, or gathered by mechanism with how far each is enriched.

    Returns:
        the entry whose factors are asked for and the place for them.
    """
    own, asked = set(found.identified.entries.tolist()), None
    grouped = len(table) > 0 and st.segmented_control(
        "Order", ["rank", "mechanism"], default="rank", required=True, key="order",
        format_func=lambda name: {"rank": "Best first", "mechanism": "By mechanism"}[name]) == "mechanism"
    for heading, told, group in gathered(path, found, table) if grouped else [("", "", found.hits)]:
        if grouped:
            st.html(f'<div class="dssl-group"><b>{cards.escape(heading)}</b><span>{cards.escape(told)}</span></div>')
        for hit in group:
            if (place := hits.hit_card(path, hit, hit.entry in own, display)) is not None:
                asked = hit.entry, place
    return asked


def gathered(path: str, found: Answer, table: pd.DataFrame) -> "list[tuple[str, str, list[Hit]]]":
    """Hits by mechanism, most enriched first: heading, what is said of it, hits."""
    entries = opened(path).entries
    groups: dict[str, list[Hit]] = {name: [] for name in table["mechanism"]}
    for hit in found.hits:
        groups.setdefault(query.value(entries.iloc[hit.entry], MOA), []).append(hit)
    told = {row.mechanism: f"{row.hits} of {len(found.hits)} hits, {row.expected:.2f} expected by chance, "
                           f"p {words.number(row.p)}" for row in table.itertuples()}
    return [(name or "Not annotated", told.get(name, ""), group) for name, group in groups.items() if group]


def mechanisms(path: str, found: Answer) -> pd.DataFrame:
    """Mechanisms among the hits, most enriched first."""
    from dssl_bio.retrieval.ranks import mechanisms_among

    return mechanisms_among(opened(path).entries, [hit.entry for hit in found.hits], found.gallery)


def page() -> None:
    """Form, answer, hits and neighbours."""
    bundle, path = cards.begin("Molecule to phenotypes", "Which of the phenotypes measured in "
                               "this screen should cells show when they are given this molecule?")
    query.form(bundle)
    query.offered(bundle)
    editor()
    text = query.asked()
    if not text:
        welcome(bundle, path)
        return
    if many(text):
        return
    with query.sentences(), waiting(path):
        found = answer(path, text, query.dose_um(bundle), query.top_k())
    remember(found.identified.molecule.smiles)
    table = mechanisms(path, found)
    left, right = st.columns([1, 1.7], gap="medium")
    with left:
        molecule_card(found)
    with right:
        trusted = summary(path, found, table, query.dose_um(bundle))
    listed, beside = st.columns([2, 1], gap="large")
    with listed:
        st.header("Phenotypes, best first", anchor=False)
        every = pictures.stored(path)
        display = pictures.display_settings(bundle, every.shape[3]) if every is not None else None
        asked = listing(path, found, table, display)
    with beside:
        alike.neighbours(path, found)
        factor_panels.panel(path, found, query.dose_um(bundle))
    if asked is not None:
        with asked[1]:
            factor_panels.of_hit(path, asked[0])
    molecule = found.identified.molecule
    # Last: what is compared for the first time takes seconds, and the hits are there to be looked at
    told, figures = trust(path, molecule.smiles, molecule.inchikey)
    trusted.markdown(told, help=words.plain(figures) or None)


page()
