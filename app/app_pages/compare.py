"""Page: two molecules side by side, what they share and what they do not."""

import numpy as np
import pandas as pd
import streamlit as st
from dssl_bio.app import cards, hits, pictures, query, share, words
from dssl_bio.app.resources import Answer, answer, opened, pairs_of, tables, waiting

from dssl_bio.chem.standardize import MAX_CHARACTERS
from dssl_bio.learning.representation import SharedSpecific
from dssl_bio.retrieval.lookup import examples
from dssl_bio.retrieval.tables import Tables
from dssl_bio.vocabulary import MOA

FIRST, SECOND = "first", "second"
TOP = 20
SHOWN, PICTURED = 8, 3
HIGH = 95.0  # percentile among random pairs from which two molecules are called alike


def form(bundle: Tables) -> None:
    """Asks for two molecules; the address keeps them."""
    with st.form("two", border=False):
        left, right, button = st.columns([3, 3, 1], vertical_alignment="bottom")
        typed = [place.text_input(label, value=st.query_params.get(name, "")[:MAX_CHARACTERS],
                                  max_chars=MAX_CHARACTERS, placeholder=query.PLACEHOLDER)
                 for place, label, name in ((left, "First molecule", FIRST), (right, "Second molecule", SECOND))]
        if button.form_submit_button("Compare", type="primary", width="stretch"):
            st.query_params.update({FIRST: typed[0].strip(), SECOND: typed[1].strip()})
            st.rerun()
    offered = examples(bundle, 2)
    if len(offered) == 2 and st.button("Two examples", type="secondary"):
        st.query_params.update({FIRST: offered[0][1], SECOND: offered[1][1]})
        st.rerun()


def verdict(path: str, first: Answer, second: Answer) -> None:
    """How alike they are in each space, in numbers and in a sentence."""
    from dssl_bio.retrieval.compare import likeness

    vectors = SharedSpecific(np.concatenate([first.vectors.shared, second.vectors.shared]),
                             np.concatenate([first.vectors.specific, second.vectors.specific]))
    found = likeness(first.identified.molecule, second.identified.molecule, vectors, pairs_of(path))
    with st.container(border=True):
        st.html(cards.figures([
            ("shared cosine", f"{found.shared:.2f}"), ("more alike than", _of_pairs(found.shared_percentile)),
            ("specific cosine", f"{found.specific:.2f}"), ("more alike than ", _of_pairs(found.specific_percentile)),
            ("Tanimoto", f"{found.tanimoto:.2f}")],
            {"shared cosine": words.SHARED, "specific cosine": words.SPECIFIC, "Tanimoto": words.TANIMOTO}))
        if first.identified.molecule.id == second.identified.molecule.id:
            st.markdown("Both are the same molecule, apart from stereochemistry or salt.")
            return
        cells, structure = found.shared_percentile >= HIGH, found.specific_percentile >= HIGH
        st.markdown({
            (True, True): "Alike in what cells show and in what only structures tell: close relatives.",
            (True, False): "Alike in what cells show, different on paper: expect similar phenotypes from different "
                           "chemistry.",
            (False, True): "Relatives on paper whose cells should differ: what they have in common is not what cells "
                           "respond to.",
            (False, False): "Not alike in either: no more than molecules of the library taken at random.",
        }[cells, structure] + f" Alike means more than {HIGH:.0f} % of random pairs of library molecules.")


def columns(path: str, answers: list[Answer]) -> None:
    """Each molecule with its first hits; hits that both have are marked."""
    bundle = tables(path)
    entries = [[hit.entry for hit in found.hits] for found in answers]
    common = set(entries[0]) & set(entries[1])
    st.markdown(f"**{len(common)}** of the first {TOP} phenotypes are found by both."
                + ("" if common else " What one should do to cells is not what the other should."))
    for column, found in zip(st.columns(2, gap="large"), answers, strict=True):
        identified, molecule = found.identified, found.identified.molecule
        with column, st.container(border=True):
            st.html(cards.title(identified.compound or words.shortened(molecule.smiles, 40),
                                tags=[(identified.mechanism, "")]))
            cards.structure(molecule, identified.compound or molecule.smiles, 340, 220)
            if shown := pictures.strip(path, _pictured(path, found), pictures.Display(bundle.channels, 1.0, 1)):
                st.html(f"<p>Its nearest phenotypes:</p>{shown}")
            st.markdown(words.standing(identified))
            st.html(cards.facts([("SMILES", molecule.smiles), ("InChIKey", molecule.inchikey)]))
            rows = [(hit.rank, hits.name_of(bundle.entries.iloc[hit.entry]),
                     query.value(bundle.entries.iloc[hit.entry], MOA), hit.score,
                     words.q_text(hit, opened(path).null), "both" if hit.entry in common else "")
                    for hit in found.hits[:SHOWN]]
            st.dataframe(pd.DataFrame(rows, columns=["#", "phenotype", "mechanism", "cosine", "q", "found by"]),
                         hide_index=True, height="content", alt=f"First hits of {words.shortened(molecule.smiles, 40)}",
                         column_config={"cosine": st.column_config.NumberColumn(format="%.3f", help=words.COSINE),
                                        "q": st.column_config.TextColumn(help=words.Q)})


def _pictured(path: str, found: Answer) -> list[tuple[int, str]]:
    """The first hits and what stands below their cells."""
    entries = tables(path).entries
    return [(hit.entry, f"#{hit.rank} {hits.name_of(entries.iloc[hit.entry])}") for hit in found.hits[:PICTURED]]


def _of_pairs(percentile: float) -> str:
    return "not known" if percentile != percentile else f"{percentile:.0f} % of pairs"


def page() -> None:
    """Ask for two, compare."""
    bundle, path = cards.begin("Compare", "Two molecules side by side: what they share, and what they do not.")
    form(bundle)
    texts = [st.query_params.get(name, "").strip()[:MAX_CHARACTERS + 1] for name in (FIRST, SECOND)]
    if not all(texts):
        return
    with query.sentences(), waiting(path):
        answers = [answer(path, text, None, TOP) for text in texts]
    verdict(path, *answers)
    columns(path, answers)
    asked = [word for found in answers for word in ("--smiles", found.identified.molecule.smiles)]
    share.command_line(["dssl-bio", "retrieve", share.bundle_argument(path), *asked, "--top-k", str(TOP)])


page()
