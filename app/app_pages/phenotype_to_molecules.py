"""Page: show a phenotype, of the screen or one's own, and see the molecules that should give it."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from dssl_bio.app import cards, hits, pictures, plots, query, words
from dssl_bio.app.resources import opened, searched_molecules, tables, typical_profiles, waiting
from numpy.typing import NDArray

from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import QueryError
from dssl_bio.imaging.compose import composite, enlarged, png
from dssl_bio.retrieval.tables import ENTRY, SPLIT, Tables
from dssl_bio.retrieval.wells import plate_layout, plates
from dssl_bio.screens.entries import ENTRY_KEY
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, INCHIKEY, MOA, MOLECULE_ID, PERT_TYPE, PLATE, SMILES

if TYPE_CHECKING:
    from dssl_bio.learning.representation import SharedSpecific
    from dssl_bio.retrieval.bundle import Bundle
    from dssl_bio.retrieval.light import MeanLight
    from dssl_bio.retrieval.reverse import MoleculeHit

ENTRY_PARAMETER, PICKED = "entry", "phenotype"
SOURCES = {"screen": "A well of this screen", "own": "My own"}
ROWS, COLUMNS = 3, 4
UPLOAD_MB = 40
MAX_ACROSS = 5
MOST_LISTED, MOST_FOUND = 3_000, 200
START_PAGE = "app_pages/molecule_to_phenotypes.py"


def chosen_entry(path: str) -> int | None:
    """Asks for an entry by its place on a plate or by its name; the address keeps it."""
    bundle = tables(path)
    keys = bundle.entries[ENTRY_KEY].astype(str).tolist()
    given = st.query_params.get(ENTRY_PARAMETER, "")
    names = plates(bundle.wells) if bundle.wells is not None else []
    map_column, name_column = st.columns([1.6, 1], gap="large") if names else (None, st.container())
    with name_column:
        at = keys.index(given) if given in keys else None
        numbers = offered(bundle, [number for number in (at, st.session_state.get(PICKED))
                                   if number is not None and number < len(keys)])
        chosen = st.selectbox("Phenotype", numbers, index=None if at is None else numbers.index(at),
                              format_func=lambda number: label(bundle, number), key=PICKED,
                              placeholder="Type a compound, or pick a well on the map" if names else "Type a compound")
    if chosen is not None:
        st.query_params[ENTRY_PARAMETER] = keys[chosen]
    if map_column is not None:
        with map_column:
            plate_map(bundle, names, chosen)
    return chosen


def offered(bundle: Tables, also: list[int]) -> list[int]:
    """Entries to choose from: all of a few; of many those that a text finds, for a long list takes seconds to send."""
    entries = bundle.entries
    if len(entries) <= MOST_LISTED:
        return list(range(len(entries)))
    wanted = st.text_input("Find a phenotype", placeholder="a compound, a mechanism or an entry", max_chars=80,
                           key="find_phenotype").strip().casefold()
    if not wanted:
        st.caption(f"{len(entries):,} phenotypes: type a part of a name.")
        return sorted(set(also))
    texts = [entries[name].astype(str).str.casefold() for name in (ENTRY_KEY, COMPOUND, MOA) if name in entries]
    found = np.flatnonzero(np.any([text.str.contains(wanted, regex=False) for text in texts], axis=0))
    st.caption(f"{len(found):,} found" + (f"; the first {MOST_FOUND} are listed." if len(found) > MOST_FOUND else "."))
    return sorted({*also, *found[:MOST_FOUND].tolist()})


def plate_map(bundle: Tables, names: list[str], chosen: int | None) -> None:
    """A plate on which a well can be picked."""
    assert bundle.wells is not None
    own = bundle.wells.loc[bundle.wells[ENTRY] == (-2 if chosen is None else chosen), PLATE].astype(str)
    plate = st.selectbox("Plate", names, index=names.index(own.iloc[0]) if len(own) and own.iloc[0] in names else 0)
    layout = plate_layout(bundle.wells, plate)
    untreated = layout[PERT_TYPE].map({"negcon": "untreated", "empty": "empty"}).fillna("not searched")
    told = [" · ".join(filter(None, (query.value(row, COMPOUND), query.value(row, MOA))))
            for _, row in layout.iterrows()]
    layout = layout.assign(kind=untreated.where(layout[ENTRY] < 0, "treated"), told=told)
    key = f"plate_{plate}"

    def picked() -> None:
        points = st.session_state[key]["selection"]["points"]
        numbers = [int(point["customdata"][0]) for point in points if point.get("customdata")]
        if numbers and numbers[0] >= 0:
            st.session_state[PICKED] = numbers[0]

    st.plotly_chart(plots.plate(layout, chosen), on_select=picked, selection_mode="points", key=key,
                    config=plots.STILL, alt=f"Wells of plate {plate}; the list beside it does the same")
    st.caption("Click a treated well. The list beside it does the same by keyboard.")


def label(bundle: Tables, number: int) -> str:
    """An entry in a list: compound, dose, mechanism."""
    entry = bundle.entries.iloc[number]
    dose = words.dose_text(float(entry[DOSE_UM])) if DOSE_UM in entry else ""
    return " · ".join(filter(None, (words.shortened(hits.name_of(entry), 40), dose, query.value(entry, MOA))))


def phenotype_of_screen(path: str, number: int) -> None:
    """What is asked: the entry's cells or features, and where it comes from."""
    bundle, entry = opened(path), tables(path).entries.iloc[number]
    name = hits.name_of(entry)
    with st.container(border=True):
        st.html(cards.title(name, tags=[(query.value(entry, MOA), "")]))
        every = bundle.pictures
        display = pictures.display_settings(tables(path), every.shape[3]) if every is not None else None
        st.html(hits.seen_of(path, number, name, display)
                + cards.facts(hits.facts_of_entry(path, number), {"Cells": words.CELLS}))


def own_images(path: str) -> "SharedSpecific | None":
    """Asks for one TIFF file a channel, which is which, and their pixel size."""
    from dssl_bio.imaging.stains import channel_in_name
    from dssl_bio.retrieval.own_phenotypes import embed_site, site_of

    bundle, channels = opened(path), tables(path).channels
    st.markdown(f"One TIFF file for each of **{', '.join(channels)}**, of one field of cells. They are scaled as the "
                "screen's were, read by the model, and not kept.")
    files = st.file_uploader("Treated cells", type=["tif", "tiff"], accept_multiple_files=True,
                             max_upload_size=UPLOAD_MB, key="treated")
    control_files = st.file_uploader("Untreated cells of the same plate (recommended)", type=["tif", "tiff"],
                                     accept_multiple_files=True, max_upload_size=UPLOAD_MB, key="untreated",
                                     help="They set the scale of brightness, as each plate's do in the screen.")
    size = st.number_input("Pixel size (µm)", 0.01, 20.0, float(tables(path).pixel_size_um), format="%.3f",
                           help="Of your images; they are brought to the model's.")
    light = _light(bundle)
    if not files:
        return None
    treated: dict[str, bytes] = {}
    control: dict[str, bytes] = {}
    for group, found, kind in ((files, treated, "treated"), (control_files or [], control, "untreated")):
        columns = st.columns(min(MAX_ACROSS, max(1, len(group))))
        for place, file in enumerate(group):
            guess = channel_in_name(file.name, channels)
            which = columns[place % len(columns)].selectbox(
                f"Channel of {words.plain(words.shortened(file.name, 40))}", channels,
                index=channels.index(guess) if guess else None, key=f"{kind}_{place}_{file.name}",
                placeholder="Say which")
            if which in found:
                raise QueryError(f"two files are said to be {which}; each channel needs one")
            if which is not None:
                found[which] = file.getvalue()
    if set(treated) != set(channels):
        st.info(f"Say which file is {', '.join(name for name in channels if name not in treated)}.")
        return None
    reference = site_of(control, channels) if set(control) == set(channels) else None
    if reference is None:
        st.warning(words.OWN_SCALE)
    vectors, picture = embed_site(bundle.run, site_of(treated, channels), float(size), reference, light)
    st.image(png(enlarged(composite(picture, channels), 384)), width=384, alt="Your cells, as the model reads them")
    return vectors


def _light(bundle: "Bundle") -> "MeanLight | None":
    """Asks whether the files are corrected for uneven light; gives what is to be divided out of them."""
    if bundle.light is None:
        st.caption(words.NO_LIGHT)
        return None
    divide = st.radio("Uneven light", [False, True], key="light", horizontal=True,
                      format_func=lambda divide: words.DIVIDE_LIGHT if divide else words.NO_UNEVEN_LIGHT,
                      help=words.plain(f"The screen's own images were divided by the illumination of their plates. "
                                       f"Here it would be {bundle.light.words()}: right for whole fields of that "
                                       "microscope, and wrong for others, which should be corrected before."))
    return bundle.light if divide else None


def own_profile(path: str) -> "SharedSpecific | None":
    """Asks for a table that holds the model's features, and which row of it is meant."""
    from dssl_bio.retrieval.own_phenotypes import against_controls, embed_profile, looks_unlike, profile_table

    bundle, features = opened(path), tables(path).features
    st.markdown(f"A CSV or Parquet table whose columns hold the {len(features):,} features that the model reads, such "
                f"as {words.plain(', '.join(features[:2]))}. It is read by the model and not kept.")
    file = st.file_uploader("Table of profiles", type=["csv", "tsv", "txt", "parquet"], max_upload_size=UPLOAD_MB)
    if file is None:
        return None
    table = profile_table(file.getvalue(), features)
    raw = st.toggle("Normalise against the untreated rows of this table (Metadata_pert_type is negcon)", value=False)
    values = against_controls(table, features) if raw else table[list(features)].to_numpy(np.float32)
    row = st.selectbox("Row", range(len(table)), format_func=lambda number: f"row {number + 1}")
    if looks_unlike(values[row], typical_profiles(path)):
        st.warning(words.UNLIKE_PROFILES)
    return embed_profile(bundle.run, values[row])


def molecules(path: str, found: "list[MoleculeHit]", own: str) -> None:
    """The ranked molecules as a grid of structures."""
    bundle, library = opened(path), tables(path).molecules
    significant = sum(hit.q <= 0.05 for hit in found)
    st.header("Molecules, best first", anchor=False)
    st.markdown(f"{significant} of the {len(found)} shown have q up to 0.05. "
                + ("" if significant else "**No molecule of the library stands out for this phenotype.** ")
                + words.plain(words.null_sentence(bundle.null)))
    for start in range(0, len(found), COLUMNS):
        for column, hit in zip(st.columns(COLUMNS), found[start:start + COLUMNS], strict=False):
            row = library.iloc[hit.row]
            name = query.value(row, COMPOUND) or str(row[MOLECULE_ID])
            tags = [("this well's molecule" if row[MOLECULE_ID] == own else "", "own")]
            with column, st.container(border=True):
                st.html(cards.drawing(Molecule(row[SMILES], row[INCHIKEY]), name, 230, 150)
                        + cards.title(words.shortened(name, 40), hit.rank, tags) + cards.facts([
                            ("Mechanism", query.value(row, MOA)), ("Cosine", f"{hit.score:.3f}"),
                            ("p", words.p_text(hit.p, bundle.null)), ("q", words.q_text(hit, bundle.null)),
                            ("Training", "seen" if row[SPLIT] == "train" else "not seen"),
                        ], {"Cosine": words.COSINE, "p": words.P, "q": words.Q, "Training": words.SEEN,
                            **words.unresolved(hit, bundle.null)}))
                if st.button("Its phenotypes", key=f"ask_{hit.row}", type="tertiary", icon=":material/search:",
                             help=f"Search the phenotypes of {words.plain(words.shortened(name, 40))}"):
                    st.switch_page(START_PAGE, query_params={"molecule": str(row[SMILES])})


def page() -> None:
    """Choose a phenotype; see it; see the molecules."""
    bundle, path = cards.begin("Phenotype to molecules", "Which molecules of the library should give the cells that "
                               "this phenotype shows?")
    source = st.segmented_control("Phenotype from", list(SOURCES), default="screen", format_func=SOURCES.__getitem__,
                                  required=True, key="source")
    own, number = "", None
    vector: NDArray[np.float32] | None = None
    with query.sentences():
        if source == "screen":
            number = chosen_entry(path)
            if number is not None:
                with waiting(path):
                    vector = opened(path).vectors.shared[number]
                own = query.value(bundle.entries.iloc[number], MOLECULE_ID)
        else:
            with waiting(path):
                opened(path)
            vectors = own_images(path) if bundle.channels else own_profile(path)
            vector = None if vectors is None else vectors.shared[0]
        if vector is None:
            return
        found = searched_molecules(path, vector.tobytes(), ROWS * COLUMNS)
    if number is not None:
        left, right = st.columns([1.5, 1], gap="medium")
        with left:
            phenotype_of_screen(path, number)
        with right:
            verdict(path, vector, own)
    molecules(path, found, own)


def verdict(path: str, vector: NDArray[np.float32], own: str) -> None:
    """Whether the model finds the molecule that the well was given."""
    from dssl_bio.retrieval.reverse import rank_of_molecule

    bundle = opened(path)
    with st.container(border=True):
        st.html(cards.title("Does the model find what was given?"))
        rank = rank_of_molecule(bundle, vector, own) if own else None
        row = bundle.molecules[bundle.molecules[MOLECULE_ID] == own].iloc[:1] if own else pd.DataFrame()
        if rank is None or row.empty:
            st.markdown("No molecule is known for this well.")
            return
        molecule = row.iloc[0]
        st.html(cards.figures([("rank of its own molecule", f"{rank:,} of {len(bundle.molecules):,}")]))
        cards.structure(Molecule(molecule[SMILES], molecule[INCHIKEY]), own, 300, 180)
        st.markdown("It was in the model's training, so this is remembered rather than found."
                    if molecule[SPLIT] == "train" else "It was not in the model's training: this is a fair test.")


page()
