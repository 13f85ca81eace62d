"""Page: a well under a molecule that it never got, or without its treatment."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st
from dssl_bio.app import cards, query, share, words
from dssl_bio.app.resources import opened, standardizer, tables, trained, waiting
from streamlit.delta_generator import DeltaGenerator

from dssl_bio.chem.standardize import MAX_CHARACTERS, Molecule
from dssl_bio.errors import DsslBioError
from dssl_bio.imaging.compose import colour_of
from dssl_bio.imaging.compose import png as as_png
from dssl_bio.retrieval.tables import Tables
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, PERT_TYPE, PLATE, ROW_KEY, WELL

if TYPE_CHECKING:
    from dssl_bio.learning.decoders.decoder import Decoder
    from dssl_bio.retrieval.counterfactual import Counterfactual
    from dssl_bio.retrieval.lookup import Identified

WELL_PARAMETER, MODE = "well", "mode"
UNDER, REMOVED, UNTREATED = "Give it a molecule", "Remove its treatment", "untreated"
ALL_CHANNELS = "All"
DIFFERENCE = (("brighter", (240, 150, 30)), ("dimmer", (64, 132, 255)))
SHOWN_FEATURES = 15


@st.cache_resource(show_spinner=False, max_entries=4)
def decoder_of(path: str) -> "Decoder":
    """A bundle's decoder, opened once for all sessions; never changed."""
    from dssl_bio.learning.decoders.decoder import Decoder

    bundle = opened(path)
    return Decoder.open(bundle.folder, bundle.run.id)


@st.cache_resource(show_spinner=False, max_entries=256)
def answered(path: str, row: int, text: str | None, dose_um: float | None,
             strength: float) -> "tuple[Identified | None, Counterfactual]":
    """A well under a typed molecule, or untreated; kept while other widgets are moved.

    Raises:
        DsslBioError: the text is no molecule, or there is nothing untreated.
    """
    from dssl_bio.retrieval.counterfactual import under_molecule, without_treatment
    from dssl_bio.retrieval.lookup import identify

    identified = None if text is None else identify(tables(path), text, standardizer())
    bundle, decoder = opened(path), decoder_of(path)
    if identified is None:
        return None, without_treatment(bundle, decoder, row)
    vector = bundle.run.embed_molecules([identified.molecule], specific=False).shared
    found = under_molecule(bundle, decoder, row, identified.molecule, vector, dose_um=dose_um, strength=strength,
                           name=identified.compound, trained=trained(path))
    return identified, found


def chosen_well(decoder: "Decoder") -> int | None:
    """Asks for a well, by plate where there are plates; the address keeps it."""
    wells = decoder.material.wells
    keys = wells[ROW_KEY].astype(str).tolist()
    given = st.query_params.get(WELL_PARAMETER, "")
    at = keys.index(given) if given in keys else None
    if given and at is None:
        st.warning(words.plain(f"This bundle has no well {words.shortened(given)}; choose one."))
    rows = np.arange(len(wells))
    right = st.container()
    if PLATE in wells and wells[PLATE].notna().all():
        left, right = st.columns([1, 2])
        plate = wells[PLATE].astype(str)
        names = sorted(plate.unique())
        name = left.selectbox("Plate", names, index=names.index(plate.iloc[at]) if at is not None else 0)
        rows = np.flatnonzero((plate == name).to_numpy())
    numbers = rows.tolist()
    row = right.selectbox("Well", numbers, index=numbers.index(at) if at in numbers else None,
                          format_func=lambda number: label(wells.iloc[number]), key="counterfactual_well",
                          placeholder="Type a well or what it got")
    if row is not None:
        st.query_params[WELL_PARAMETER] = keys[row]
    return row


def label(well: pd.Series) -> str:
    """A well in a list: its name, what it got, the dose."""
    got = "DMSO" if well[PERT_TYPE] == "negcon" else query.value(well, COMPOUND)
    dose = words.dose_text(float(well[DOSE_UM])) if DOSE_UM in well and well[PERT_TYPE] != "negcon" else ""
    return " · ".join(filter(None, (query.value(well, WELL) or str(well[ROW_KEY]), words.shortened(got, 40), dose)))


def treatment(decoder: "Decoder") -> tuple[str | None, float | None, float] | None:
    """Asks what the well is imagined to get: a text (None for no treatment), a dose, a strength."""
    given = REMOVED if st.query_params.get(MODE) == UNTREATED else UNDER
    if st.segmented_control("Imagine", [UNDER, REMOVED], default=given, key=MODE, required=True) == REMOVED:
        st.query_params[MODE] = UNTREATED
        return None, None, 1.0
    st.query_params.pop(MODE, None)
    doses = decoder.doses_um if len(decoder.doses_um) > 1 else []
    places = iter(st.columns([4, *([1.6] if doses else []), 1.6], vertical_alignment="bottom"))
    text = next(places).text_input("Molecule", value=st.query_params.get(query.MOLECULE, "")[:MAX_CHARACTERS],
                                   max_chars=MAX_CHARACTERS, placeholder=query.PLACEHOLDER)
    dose = dose_slider(next(places), doses) if doses else None
    strength = next(places).slider("Strength", 0.0, 1.5, 1.0, 0.25, help="0 is untreated, 1 the molecule. An "
                                   "interpolation between the two shared parts, not a dose.",
                                   disabled=decoder.control_code is None)
    if not text.strip():
        return None
    st.query_params[query.MOLECULE] = text.strip()
    return text.strip(), dose, float(strength)


def dose_slider(place: DeltaGenerator, doses: list[float]) -> float | None:
    """Asks for a dose of the screen, or any; the address keeps it."""
    given = next((dose for dose in doses if st.query_params.get(query.DOSE) == f"{dose:g}"), None)
    dose: float | None = place.select_slider(
        "Dose", [None, *doses], given, format_func=_dose, key="imagined_dose",
        help="Among what the model has learned, the phenotypes at the dose nearest to this one.")
    if dose is None:
        st.query_params.pop(query.DOSE, None)
    else:
        st.query_params[query.DOSE] = f"{dose:g}"
    return dose


def _dose(dose_um: float | None) -> str:
    return "any" if dose_um is None else words.dose_text(dose_um)


def pictures(decoder: "Decoder", found: "Counterfactual") -> None:
    """Control, well, prediction and difference, side by side."""
    from dssl_bio.retrieval.counterfactual_report import pictures_of

    channels = decoder.facts.channels
    which = st.segmented_control("Channel", [ALL_CHANNELS, *channels], default=ALL_CHANNELS, required=True)
    drawn = pictures_of(found, channels, decoder.facts.pixel_size_um, None if which == ALL_CHANNELS else [str(which)])
    of = "all channels" if which == ALL_CHANNELS else f"channel {which}"
    for column, (name, rgb, caption) in zip(st.columns(len(drawn)), drawn, strict=True):
        with column:
            st.image(as_png(rgb), caption=words.plain(caption), width="stretch", alt=told(name, caption, of))
    st.html(cards.channel_key([(name, colour_of(name, channels)) for name in channels] if which == ALL_CHANNELS else [])
            + '<span class="dssl-key">In the difference:</span>' + cards.channel_key(DIFFERENCE))
    st.caption(f"Pictures of {drawn[0][1].shape[0]} points drawn from {decoder.config.image.px} pixels of "
               f"{decoder.facts.pixel_size_um:g} µm. Only the control and the measured well were ever seen.")


def told(name: str, caption: str, of: str) -> str:
    """A picture in words, for those who do not see it."""
    if name.startswith("difference"):
        return f"What changes from measured to predicted cells, {of}; orange is brighter, blue is dimmer"
    return words.spoken(words.shortened(f"Cells, {of}: {caption}", 160))


def changes(decoder: "Decoder", found: "Counterfactual") -> None:
    """The features that change most, with intervals."""
    table = found.changes(decoder.facts.features, decoder.profile.spread.numpy())
    st.markdown(f"**{int(table['sure'].sum())}** of {len(table)} features leave what was measured outside their 90 % "
                "interval; by chance a tenth would.")
    st.dataframe(table.head(SHOWN_FEATURES)[["feature", "before", "predicted", "change_in_sd", "low", "high", "sure"]],
                 hide_index=True, height="content", alt="Features that change most", column_config={
                     "before": st.column_config.NumberColumn("measured", format="%.3g"),
                     "predicted": st.column_config.NumberColumn(format="%.3g"),
                     "change_in_sd": st.column_config.NumberColumn("change (SD)", format="%+.2f"),
                     "low": st.column_config.NumberColumn("90 % from", format="%.3g"),
                     "high": st.column_config.NumberColumn("to", format="%.3g"),
                     "sure": st.column_config.CheckboxColumn("outside")})
    st.download_button("All features as CSV", table.to_csv(index=False), "changes.csv", "text/csv")


def around(found: "Counterfactual") -> None:
    """What is near the prediction, and what it is made of."""
    from dssl_bio.retrieval.counterfactual_report import friendly

    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Nearest measured phenotypes**")
        st.dataframe(friendly(found.nearest), hide_index=True, height="content", alt="Nearest measured phenotypes",
                     column_config={"cosine": st.column_config.NumberColumn(format="%.3f", help=words.COSINE)})
        percentile = found.nearest.attrs["percentile"]
        st.caption(f"{percentile:.0f} % of the screen's phenotypes have their own nearest neighbour further away"
                   + (": nothing like this was measured." if percentile < 5 else "."))
    if len(found.behind):
        with right:
            st.markdown("**Treatments the prediction is made of**")
            st.dataframe(found.behind, hide_index=True, height="content", alt="Treatments behind the prediction",
                         column_config={"weight": st.column_config.NumberColumn(format="%.3f")})


def answer_of(path: str, decoder: "Decoder", row: int, asked: tuple[str | None, float | None, float]) -> None:
    """The prediction with everything that is known about how far to trust it."""
    from dssl_bio.retrieval.counterfactual_report import facts_of

    with query.sentences(), waiting(path):
        identified, found = answered(path, row, *asked)
    for warning in found.warnings:
        st.warning(words.plain(warning))
    with st.container(border=True):
        name = found.treatment if identified is None or not identified.compound else identified.compound
        st.html(cards.title(f"{found.well[ROW_KEY]} under {words.shortened(name)}",
                            tags=[("predicted, never measured", "warn")]))
        st.caption(words.plain(facts_of(found)))
        if found.picture is not None:
            pictures(decoder, found)
        if identified is not None:
            _structure(identified.molecule, name)
    changes(decoder, found)
    around(found)
    share.command_line(command(path, found, identified, asked))
    with st.expander("What to know", expanded=True):
        st.markdown("What the decoder does not explain of the well stays as it was measured; its specific part is kept "
                    "and only the shared part is replaced. Leaving the well unchanged is the baseline to beat: for "
                    "a molecule without effect nothing is better.")
        for note in found.notes:
            st.markdown(f"- {words.plain(note)}")


def command(path: str, found: "Counterfactual", identified: "Identified | None",
            asked: tuple[str | None, float | None, float]) -> list[str]:
    """The `dssl-bio counterfactual` line that predicts the same."""
    line = ["dssl-bio", "counterfactual", share.bundle_argument(path), "--well", str(found.well[ROW_KEY])]
    if identified is None:
        return [*line, "--remove-treatment", "--out", "predicted"]
    _, dose_um, strength = asked
    return [*line, "--smiles", identified.molecule.smiles, *(["--dose-um", f"{dose_um:g}"] if dose_um else []),
            *(["--strength", f"{strength:g}"] if strength != 1 else []), "--out", "predicted"]


def _structure(molecule: Molecule, name: str) -> None:
    with st.expander("Structure"):
        cards.structure(molecule, name)


def page() -> None:
    """Ask for a well and a treatment, predict."""
    bundle, path = cards.begin("Counterfactual", "What would this well look like under that molecule? Its cells, plate "
                                                 "and density stay; what the molecule shares with cells is replaced.")
    decoder = _decoder(path, bundle)
    if decoder is None:
        return
    row = chosen_well(decoder)
    asked = treatment(decoder)
    if row is not None and asked is not None:
        answer_of(path, decoder, row, asked)


def _decoder(path: str, bundle: Tables) -> "Decoder | None":
    if not (bundle.folder / "decoder").exists():
        st.info("This bundle has no decoder. Make one with: `dssl-bio decode BUNDLE SCREEN`, SCREEN being the folder "
                "that was indexed; then start the server anew.")
        return None
    try:
        with waiting(path):
            return decoder_of(path)
    except DsslBioError as error:
        st.error(words.sentence(error))
        return None


page()
