"""Page: give a molecule, see the phenotypes that cells should show with it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st
from dssl_bio.app import cards, plots, words
from dssl_bio.app.resources import Answer, answer, typical_profiles
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from dssl_bio.chem.standardize import MAX_CHARACTERS, Molecule
from dssl_bio.errors import DsslBioError
from dssl_bio.imaging.compose import colour_of, scale_bar_um
from dssl_bio.retrieval.build import IN_SCREEN, SPLIT
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.families import changed_families
from dssl_bio.retrieval.lookup import examples
from dssl_bio.retrieval.neighbours import (
    SHARED_COSINE,
    SPECIFIC_COSINE,
    TANIMOTO,
    Space,
    cosines_with_library,
    nearest,
)
from dssl_bio.retrieval.pictures import channels_of, control_picture, entry_picture
from dssl_bio.retrieval.ranks import mechanisms_among, own_rank
from dssl_bio.retrieval.search import Hit
from dssl_bio.screens.entries import ENTRY_KEY, N_WELLS
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, INCHIKEY, MOA, MOLECULE_ID, PLATE, SMILES, WELL

MOLECULE, DOSE, TOP = "molecule", "dose", "top"
DEFAULT_TOP, MAX_TOP = 6, 50
LISTED = 2


def query_form(bundle: Bundle) -> None:
    """Asks for a molecule; the answer stands in the address, so that it can be shared and reloaded."""
    given = st.query_params.get(MOLECULE, "")[:MAX_CHARACTERS]
    with st.form("query", border=False):
        text, dose, top, button = st.columns([5, 1.3, 1, 1], vertical_alignment="bottom")
        typed = text.text_input("Molecule", value=given, max_chars=MAX_CHARACTERS,
                                placeholder="SMILES, or a name or InChIKey of this screen")
        doses = _doses(bundle)
        chosen = dose.selectbox("Dose", [None, *doses], index=_place(doses, st.query_params.get(DOSE)),
                                format_func=lambda value: "any" if value is None else words.dose_text(value),
                                help="Compares with each molecule's dose nearest to this one.", disabled=not doses)
        count = top.number_input("Hits", 1, MAX_TOP, _count(st.query_params.get(TOP)))
        if button.form_submit_button("Search", type="primary", width="stretch"):
            st.query_params.update({MOLECULE: typed.strip(), TOP: str(int(count))})
            st.query_params.pop(DOSE, None)
            if chosen is not None:
                st.query_params[DOSE] = f"{chosen:g}"
            st.rerun()
    offered = examples(bundle)
    if not offered:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.caption("Examples that were not in training:" if _held_out(bundle, len(offered)) else "Examples:")
        for label, example in offered:
            if st.button(words.plain(words.shortened(label, 34)), key=f"example_{example}", type="secondary"):
                st.query_params[MOLECULE] = example
                st.rerun()


def molecule_card(bundle: Bundle, found: Answer) -> None:
    """The standardised molecule and what the bundle knows of it."""
    identified, molecule = found.identified, found.identified.molecule
    name = identified.compound or words.shortened(molecule.smiles, 40)
    with st.container(border=True):
        st.html(cards.title(name, tags=[(identified.mechanism, "")]))
        cards.structure(molecule, name, 340, 220)
        st.markdown(words.changes_sentence(identified))
        st.markdown(words.standing(identified))
        st.html(cards.facts([("SMILES", molecule.smiles), ("InChIKey", molecule.inchikey)]))


def summary(bundle: Bundle, found: Answer) -> None:
    """What the search found as a whole, and how far it can be trusted."""
    rank = own_rank(found.searched, found.vectors.shared[0], _places(found))
    best = found.hits[0]
    with st.container(border=True):
        st.html(cards.title("What was found"))
        significant = sum(hit.q <= 0.05 for hit in found.hits)
        left, middle, right = st.columns(3)
        left.metric("Best cosine", f"{best.score:.2f}", help=words.COSINE)
        middle.metric("Hits with q up to 0.05", f"{significant} of {len(found.hits)} shown", help=words.Q)
        own = "not measured" if rank is None else f"rank {rank:,} of {len(found.gallery):,}"
        right.metric("Its own phenotype", own,
                     help="Where the molecule's own measured phenotype stands among all entries searched.")
        if not significant:
            st.info("No phenotype of this screen stands out for this molecule: none of the hits below is told apart "
                    "from unrelated pairs. Most molecules change cells too little to be seen.")
        st.markdown("How often a molecule like this one finds its own phenotype is not known for this bundle: no "
                    "benchmark comes with it. " + words.plain(words.null_sentence(bundle.null)))
        table = mechanisms_among(bundle.entries, [hit.entry for hit in found.hits], found.gallery)
        if len(table):
            st.dataframe(table, hide_index=True, height="content", alt="Mechanisms among the hits", column_config={
                "mechanism": "Mechanism among the hits", "hits": st.column_config.NumberColumn("Hits"),
                "in_gallery": st.column_config.NumberColumn("In the screen"),
                "expected": st.column_config.NumberColumn("Expected by chance", format="%.2f"),
                "p": st.column_config.NumberColumn("p", format="%.2g", help="One-sided hypergeometric test among "
                                                   "annotated entries; not corrected for several mechanisms.")})
        with st.expander("What do cosine, p and q mean?"):
            st.markdown(f"**Cosine.** {words.COSINE}\n\n**p.** {words.P}\n\n**q.** {words.Q}\n\n"
                        "**Not resolvable** means that no draw of the null scored as high: p is smaller than the null "
                        "can tell, and never zero.")


def display_settings(channels: Sequence[str], pixel_size_um: float, width_px: int) -> tuple[list[str], float]:
    """Which channels are laid over each other, and how bright."""
    left, right = st.columns([3, 1.4], vertical_alignment="center")
    shown = left.pills("Channels", channels, selection_mode="multi", default=list(channels), key="channels")
    brightness = right.slider("Brightness", 0.4, 3.0, 1.0, 0.1, key="brightness",
                              help="The same factor for all pictures, so that they stay comparable.")
    key = [(name, colour_of(name, channels)) for name in channels]
    bar = f"bar {scale_bar_um(width_px, pixel_size_um):g} µm" if pixel_size_um > 0 else ""
    st.html(cards.channel_key(key) + f'<span class="dssl-key">{bar}</span>')
    return list(shown), brightness


def hit_card(bundle: Bundle, path: str, hit: Hit, own: bool, display: tuple[list[str], float] | None) -> None:
    """One hit: its cells beside untreated ones, or its changed features; where it comes from; how sure it is."""
    entry = bundle.entries.iloc[hit.entry]
    name = _value(entry, COMPOUND) or _value(entry, MOLECULE_ID) or str(entry[ENTRY_KEY])
    with st.container(border=True):
        if display is not None and bundle.pictures is not None:
            treated, control, text = st.columns([1, 1, 1.25])
            _pictures(bundle, hit, name, display, treated, control)
        else:
            text, plot = st.columns([1, 1.6])
            with plot:
                _family_plot(bundle, path, hit, name)
        tags = [(_value(entry, MOA), ""), ("the molecule itself" if own else "", "own")]
        dose = words.dose_text(float(entry[DOSE_UM])) if DOSE_UM in entry and not pd.isna(entry[DOSE_UM]) else ""
        n_wells = int(entry[N_WELLS])
        with text:
            st.html(cards.title(words.shortened(name, 80), hit.rank, tags) + cards.facts([
                ("Dose", dose), ("Plate", _joined(entry, PLATE)), ("Well", _joined(entry, WELL)),
                ("Joined from", f"{n_wells} wells" if n_wells > 1 else ""),
                ("Cosine", f"{hit.score:.3f}"), ("p", words.p_text(hit.p, bundle.null)),
                ("q", words.q_text(hit, bundle.null)),
            ], {"Cosine": words.COSINE, "p": words.P, "q": words.Q}))


def neighbours(bundle: Bundle, found: Answer) -> None:
    """Molecules that resemble this one in what only molecules show, against what cells show too."""
    molecule = found.identified.molecule
    table = cosines_with_library(bundle, found.vectors, molecule.id)
    if table.empty:
        return
    st.subheader("Molecules alike", anchor=False)
    st.markdown("The model keeps two descriptions of a molecule: a **shared** one, what cells can show of it, and a "
                "**specific** one, what only the structure tells. Alike in the first: expect a similar phenotype. "
                "Alike in the second only: a relative on paper.")
    specific, shared = st.tabs(["Specific", "Shared"])
    listed: tuple[tuple[DeltaGenerator, Space], ...] = ((specific, "specific"), (shared, "shared"))
    for tab, space in listed:
        with tab:
            _neighbour_list(nearest(table, space, molecule, LISTED * 3), space)
    names = table[COMPOUND].fillna(table[MOLECULE_ID]) if COMPOUND in table else table[MOLECULE_ID]
    told = table.assign(_name=names.map(lambda text: words.shortened(str(text), 40)))
    first = nearest(table, "specific", molecule, LISTED * 3)[MOLECULE_ID]
    marked = told[MOLECULE_ID].isin(first).to_numpy().nonzero()[0]
    st.plotly_chart(plots.spaces(told, "_name", marked), config={"displayModeBar": False}, key="spaces",
                    alt="Library molecules by shared and by specific cosine to the query")
    st.caption("Each point is a molecule of the library; orange: the nearest by specific.")


def _pictures(bundle: Bundle, hit: Hit, name: str, display: tuple[list[str], float],
              treated: DeltaGenerator, control: DeltaGenerator) -> None:
    channels, size = channels_of(bundle), bundle.run.facts.pixel_size_um
    picture = entry_picture(bundle, hit.entry)
    if picture is None:
        return
    with treated:
        cards.cells(picture.pixels, channels, *display, size, f"treated, {picture.place}" if picture.place
                    else "treated", f"Cells treated with {words.shortened(name)}")
    beside = control_picture(bundle, picture.plate)
    with control:
        if beside is None:
            st.caption("No untreated well of this plate has a picture.")
        else:
            cards.cells(beside.pixels, channels, *display, size, f"negative control, {beside.place}" if beside.place
                        else "negative control", f"Untreated cells of the same plate, {beside.place}")


def _family_plot(bundle: Bundle, path: str, hit: Hit, name: str) -> None:
    if bundle.profiles is None:
        return
    table = changed_families(bundle.profiles[hit.entry], list(bundle.run.facts.features), typical_profiles(path), 8)
    st.plotly_chart(plots.families(table), config={"displayModeBar": False}, key=f"families_{hit.entry}",
                    alt=f"Most changed feature families of {words.shortened(name)}")
    st.caption("Most changed feature families; the mark is where the screen's entries typically are.")


def _neighbour_list(table: pd.DataFrame, space: Space) -> None:
    for start in range(0, len(table), LISTED):
        for column, (_, row) in zip(st.columns(LISTED), table.iloc[start:start + LISTED].iterrows(), strict=False):
            name = _value(row, COMPOUND) or str(row[MOLECULE_ID])
            with column:
                cards.structure(Molecule(row[SMILES], row[INCHIKEY]), name, 170, 120)
                pairs = [("specific", f"{row[SPECIFIC_COSINE]:.2f}"), ("shared", f"{row[SHARED_COSINE]:.2f}"),
                         ("Tanimoto", f"{row[TANIMOTO]:.2f}")]
                st.html(f"<b>{cards.escape(words.shortened(name, 26))}</b>"
                        + cards.facts([*(pairs if space == "specific" else [pairs[1], pairs[0], pairs[2]]),
                                       ("mechanism", _value(row, MOA))]))


def _doses(bundle: Bundle) -> list[float]:
    if DOSE_UM not in bundle.entries:
        return []
    return sorted(float(value) for value in bundle.entries[DOSE_UM].dropna().unique())[:24]


def _place(doses: list[float], given: str | None) -> int:
    return next((i + 1 for i, dose in enumerate(doses) if given == f"{dose:g}"), 0)


def _count(given: str | None) -> int:
    return min(MAX_TOP, max(1, int(given))) if given and given.isascii() and given.isdigit() else DEFAULT_TOP


def _dose(bundle: Bundle) -> float | None:
    return ([None, *_doses(bundle)])[_place(_doses(bundle), st.query_params.get(DOSE))]


def _held_out(bundle: Bundle, n: int) -> bool:
    """Whether the first n examples can all be molecules that the model was not trained on."""
    return int((bundle.molecules[IN_SCREEN] & (bundle.molecules[SPLIT] != "train")).sum()) >= n


def _places(found: Answer) -> NDArray[np.int64]:
    """Rows of the searched gallery that are the query's own."""
    return np.flatnonzero(np.isin(found.gallery, found.identified.entries))


def _value(row: pd.Series, column: str) -> str:
    return "" if column not in row or pd.isna(row[column]) else str(row[column])


def _joined(row: pd.Series, column: str) -> str:
    return ", ".join(_value(row, column).split(";"))


def page() -> None:
    """Form, answer, hits and neighbours."""
    bundle, path = cards.begin("Molecule to phenotypes", "Which of the phenotypes measured in "
                               "this screen should cells show when they are given this molecule?")
    query_form(bundle)
    text = st.query_params.get(MOLECULE, "").strip()
    if not text:
        return
    try:
        found = answer(path, text[:MAX_CHARACTERS + 1], _dose(bundle), _count(st.query_params.get(TOP)))
    except DsslBioError as error:
        st.error(words.plain(str(error)))
        return
    left, right = st.columns([1, 1.7], gap="medium")
    with left:
        molecule_card(bundle, found)
    with right:
        summary(bundle, found)
    hits, beside = st.columns([2, 1], gap="large")
    with hits:
        st.subheader("Phenotypes, best first", anchor=False)
        display = None
        if bundle.pictures is not None:
            display = display_settings(channels_of(bundle), bundle.run.facts.pixel_size_um, bundle.pictures.shape[3])
        own = set(found.identified.entries.tolist())
        for hit in found.hits:
            hit_card(bundle, path, hit, hit.entry in own, display)
    with beside:
        neighbours(bundle, found)


page()
