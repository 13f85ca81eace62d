"""Factors on pages: what one molecule or phenotype is made of, and what the representations of a bundle know.

Imports that load the network stand in functions, so that a page is drawn before it is there.
"""

import base64
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from dssl_bio.app import axis_ends, cards, plots, words
from dssl_bio.app.resources import Answer, dark, opened, tables

from dssl_bio.chem.depict import svg
from dssl_bio.errors import DsslBioError
from dssl_bio.retrieval.tables import Tables

if TYPE_CHECKING:
    from dssl_bio.factors.query import Asker, OneFactors

MOST_FACTORS = 60
TURNS = ("Orange: the part rests on this atom, for it changes much when the atom is left out. Each part has a scale of "
         "its own.")


@st.cache_resource(show_spinner=False, max_entries=8)
def asker(path: str) -> "Asker":
    """Answers about a bundle's single molecules and phenotypes, kept for all sessions."""
    from dssl_bio.factors.query import Asker

    return Asker(opened(path))


def panel(path: str, found: Answer, dose_um: float | None) -> None:
    """What the molecule's two parts rest on and where they lie."""
    st.header("Factors", anchor=False)
    st.markdown("The **shared** part is what molecule and cells have in common; the **specific** part is the "
                "molecule's own, or the well's own: plate, position, density.")
    try:
        one = asker(path).molecule(found.identified.molecule, dose_um)
    except DsslBioError as error:
        st.info(words.plain(str(error)))
        return
    _share(one)
    if one.weights is not None and one.molecule is not None:
        parts = (("shared", one.weights.shared), ("specific", one.weights.specific))
        for column, (name, weights) in zip(st.columns(2), parts, strict=True):
            column.html(_atoms(one, name, weights))
        st.caption(TURNS)
    _positions(path, one, "molecule")
    _notes(one)


def of_hit(path: str, entry: int) -> None:
    """Factors of an entry's phenotype: how much is shared, where its own part lies, and what both rest on."""
    st.markdown("**Factors of this phenotype.** Shared: what a molecule can explain. Specific: what belongs to the "
                "well alone, such as plate, place, density and focus.")
    try:
        one = asker(path).entry(entry)
    except DsslBioError as error:
        st.info(words.plain(str(error)))
        return
    _share(one)
    _positions(path, one, "phenotype")
    if one.weights is not None:
        from dssl_bio.evaluation.factor_figures import families_figure, places_figure
        from dssl_bio.factors.attribution import GRID

        if one.parts == ("places",):
            figure = places_figure(one.weights.shared, one.weights.specific, tables(path).channels, GRID)
            alt = "Weight of each channel in each place, for the shared and the specific part"
        else:
            figure = families_figure(one.weights.shared, one.weights.specific, one.parts)
            alt = "Feature families that the shared and the specific part rest on most"
        figure = plots.plain(figure).update_layout(margin={"t": 30, "r": 30})  # names of channels and parts
        st.plotly_chart(figure, config=plots.STILL, key="hit_weights", alt=alt)
        st.caption("What each part rests on: how far it turns when a piece of the picture or profile is made usual.")
    _notes(one)


def _atoms(one: "OneFactors", name: str, weights: np.ndarray) -> str:
    """The structure with the atoms that a part rests on, as an image with its text."""
    assert one.molecule is not None
    drawn = base64.b64encode(svg(one.molecule, 300, 210, dark=dark(), weights=weights.tolist()).encode()).decode()
    return (f'<figure style="margin:0"><img style="width:100%" src="data:image/svg+xml;base64,{drawn}" '
            f'alt="Atoms that the {name} part rests on"><figcaption>{name}</figcaption></figure>')


def _share(one: "OneFactors") -> None:
    from dssl_bio.factors.query import SHARE_TEXT

    share, other = one.share.share, "cells" if one.side == "molecule" else "molecules"
    told = (f"It cannot be told how much of this {one.side} is shared with {other}." if np.isnan(share) else
            f"**About {share:.0%}** of what tells this {one.side} apart is shared with {other}.")
    st.markdown(told, help=f"{SHARE_TEXT} Here: shared {one.share.shared_nats:.2f}, specific "
                           f"{one.share.specific_nats:.2f} nats.")


def _positions(path: str, one: "OneFactors", side: str) -> None:
    if not len(one.positions):
        return
    from dssl_bio.evaluation.factor_figures import positions_figure

    st.plotly_chart(plots.plain(positions_figure(one.positions)), config=plots.STILL, key=f"positions_{side}",
                    alt=f"Percentiles of the {side}'s specific part on named axes")
    st.caption(f"Where the {side}'s own part lies among the training set, on axes that have a name: 50 is the middle.")
    axis_ends.ends(path, one.positions, side)


def _notes(one: "OneFactors") -> None:
    for note in one.notes:
        st.caption(words.plain(note))


def matrix(bundle: Tables) -> None:
    """The factor matrix of a bundle, and what its specific parts can find; a sentence where it holds none."""
    from dssl_bio.factors.index import has_factors, read_factors

    st.header("What each representation knows", anchor=False)
    if not has_factors(bundle.folder):
        try:
            read_factors(bundle.folder)
        except DsslBioError as error:
            st.caption(words.plain(str(error)))
        return
    from dssl_bio.evaluation.factor_figures import matrix_figure, retrieval_figure

    factors = read_factors(bundle.folder)
    if len(factors.summary):
        st.html(cards.table("Known where it belongs", [
            ("Factors of", ""), ("number", ""), ("known where they belong", "mean above chance: 0 nothing, 1 all"),
            ("where they do not", "mean above chance"), ("disentangled", "less than a third of it elsewhere")], [
            [str(side), f"{len(own)}", f"{own['above_right'].mean():.2f}", f"{own['above_wrong'].mean():.2f}",
             f"{int((own['verdict'] == 'disentangled').sum())}"]
            for side, own in factors.summary.groupby("belongs", sort=False)]))
    if len(factors.retrieval):
        st.plotly_chart(plots.plain(retrieval_figure(factors.retrieval)), config=plots.STILL, key="by_part",
                        alt="MRR of held-out molecules by shared and by specific parts, beside chance")
    if len(factors.matrix):
        st.plotly_chart(plots.plain(matrix_figure(factors.matrix, most=MOST_FACTORS)), config=plots.STILL,
                        key="factor_matrix", alt="How well each known factor is read from each representation")
        st.caption(f"At most {MOST_FACTORS} factors, those that are known best; number: R² or AUROC by linear probes "
                   "across molecules; colour: above chance. All of them: dssl-bio factors.")
