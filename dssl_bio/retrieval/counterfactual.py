"""What this well would look like under that molecule: the well keeps its specific part, the molecule gives the shared.

Abduction, action, prediction (Pearl 2009, chapter 7): what the decoder does not explain of the well is kept, the shared
part is replaced, and the well is decoded again. So the prediction of what the well got is the well itself. Of what is
not explained the plate's part is kept and of the rest the cosine of the two shared parts: see `Decoder.unexplained`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import BundleError, DsslBioError, QueryError
from dssl_bio.learning.decoders.material import CONTROL
from dssl_bio.learning.decoders.prior import between, weights
from dssl_bio.retrieval.applicability import Applicability, Trained, applicability, read_expected
from dssl_bio.screens.entries import ENTRY_KEY
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, MOA, MOLECULE_ID, PERT_TYPE, PLATE

if TYPE_CHECKING:
    from dssl_bio.learning.decoders.decoder import Decoder
    from dssl_bio.retrieval.bundle import Bundle

Floats = NDArray[np.float32]

STRENGTHS = (0.25, 0.5, 0.75, 1.0)
OUTSIDE = 0.05
"""A molecule further from the training molecules than 95 % of these are from each other is outside."""
N_NEAR, N_TYPICAL = 5, 500


@dataclass(frozen=True)
class Version:
    """The well under one treatment.

    Attributes:
        name: such as `10 µM` or `strength 0.5`.
        shared: (D,) shared part.
        features: (F,) predicted.
        low: (F,) of the 90 % interval of a well so treated.
        high: (F,) of it.
        picture: (C, px, px) scaled pixels; None for profiles.
    """

    name: str
    shared: Floats
    features: Floats
    low: Floats
    high: Floats
    picture: Floats | None


@dataclass(frozen=True)
class Counterfactual:
    """A well as it was measured, and as it is predicted under another treatment.

    Attributes:
        well: facts of the well.
        treatment: what is imagined, in words.
        before: (F,) features as measured.
        picture: (C, px, px) as measured; None for profiles.
        control: a negative control of the same plate, likewise; None without.
        versions: the predicted well; several for a series.
        series: `dose`, `strength` or empty.
        nearest: entries nearest to the last version: key, compound, mechanism, cosine; attrs `percentile`.
        behind: treatments from which the prediction is made, with weights; empty where it is not from a molecule.
        warnings: what must be known before anybody believes it.
        notes: what the prediction is.
    """

    well: "pd.Series[Any]"
    treatment: str
    before: Floats
    picture: Floats | None
    control: Floats | None
    versions: list[Version]
    series: str
    nearest: pd.DataFrame
    behind: pd.DataFrame
    warnings: list[str]
    notes: list[str]

    def changes(self, names: Sequence[str], spread: Floats) -> pd.DataFrame:
        """Every feature of the last version: feature, before, predicted, change, low, high, change_in_sd, sure.

        Args:
            names: of the F features.
            spread: (F,) standard deviation over training wells.

        Returns:
            largest change in standard deviations first; `sure` where the interval does not hold the measured value.
        """
        last = self.versions[-1]
        table = pd.DataFrame({"feature": list(names), "before": self.before, "predicted": last.features,
                              "change": last.features - self.before, "low": last.low, "high": last.high})
        table["change_in_sd"] = table["change"] / np.maximum(spread, 1e-9)
        table["sure"] = (table["before"] < table["low"]) | (table["before"] > table["high"])
        order = table["change_in_sd"].abs().sort_values(ascending=False, kind="stable").index
        return table.loc[order].reset_index(drop=True)


def under_molecule(bundle: "Bundle", decoder: "Decoder", row: int, molecule: Molecule, vector: Floats, *,
                   dose_um: float | None = None, series: bool = False, strength: float = 1.0, name: str = "",
                   trained: Trained | None = None, pictures: bool = True) -> Counterfactual:
    """A well under a molecule.

    Args:
        bundle: that is asked.
        decoder: of the bundle.
        row: of `decoder.material.wells`.
        molecule: what the well is imagined to have got.
        vector: (1, D) its shared vector.
        dose_um: the phenotypes to expect are those at the doses nearest to it; all doses by default.
        series: every dose of the screen where there are several, or else strengths between untreated and the molecule.
        strength: 0 is untreated, 1 the molecule; an interpolation, no dose.
        name: of the molecule.
        trained: of the bundle's molecules, where several questions are asked.
        pictures: False leaves them out.

    Raises:
        BundleError: the bundle knows no training molecule, or a strength is asked for and nothing is untreated.
        QueryError: the dose is not positive.
    """
    if dose_um is not None and not dose_um > 0:
        raise QueryError(f"a dose must be positive, got {dose_um:g} uM")
    doses = decoder.doses_um
    wanted: list[tuple[str, float | None, float]] = [("", dose_um, strength)]
    kind = ""
    if series and len(doses) > 1:
        kind, wanted = "dose", [(f"{dose:g} µM", dose, 1.0) for dose in doses]
    elif series:
        kind, wanted = "strength", [(f"strength {share:g}", dose_um, share) for share in STRENGTHS]
    versions = _versions(decoder, row, vector, wanted, pictures)
    warnings, notes = _cautions(bundle, decoder, molecule, dose_um, strength, kind, trained)
    own = decoder.material.wells[MOLECULE_ID].iloc[row]
    if own == molecule.id:
        notes.append("This well did get this molecule: what was measured is beside the prediction.")
    last = doses[-1] if kind == "dose" else dose_um
    rows = decoder.behind(vector, last)
    share = weights(vector, decoder.learned(last)[1], decoder.facts.temperature)[0]
    effective = float(np.exp(-(share * np.log(np.maximum(share, 1e-30))).sum()))
    notes.append(f"The phenotype to expect is a mean over about {effective:.0f} of {len(share)} learned treatments; "
                 "the fewer, the more the molecule says.")
    return _whole(bundle, decoder, row, name or molecule.smiles, versions, kind, rows, warnings, notes)


def without_treatment(bundle: "Bundle", decoder: "Decoder", row: int, *, pictures: bool = True) -> Counterfactual:
    """A well as if it had got DMSO.

    Raises:
        BundleError: the screen has no negative controls.
    """
    if decoder.control_code is None:
        raise BundleError("this screen has no negative controls, so what untreated wells share is not known")
    versions = _versions(decoder, row, None, [("untreated", None, 1.0)], pictures)
    notes = ["The shared part is the mean direction of all negative controls."]
    if decoder.material.wells[PERT_TYPE].iloc[row] == CONTROL:
        notes.append("This well is a negative control: nothing should change.")
    return _whole(bundle, decoder, row, "no treatment", versions, "", [], [], notes)


def _versions(decoder: "Decoder", row: int, vector: Floats | None, wanted: list[tuple[str, float | None, float]],
              pictures: bool) -> list[Version]:
    """Features and pictures of each wanted (name, dose, strength); without a vector untreated."""
    rows, specific = np.array([row]), decoder.specific(np.array([row]))
    control = decoder.control_code
    untreated = None
    if control is not None:
        untreated = decoder.under(control, specific), decoder.features(control, specific)[1]
    codes, means, halves = [], [], []
    for _, dose_um, strength in wanted:
        if vector is None:
            assert control is not None and untreated is not None
            code, (mean, half) = control, untreated
        else:
            code, (mean, half) = decoder.expected(vector, dose_um), decoder.anticipated(vector, specific, dose_um)
        if strength != 1:
            if control is None or untreated is None:
                raise BundleError("this screen has no negative controls to which a strength could go back")
            code = between(control, code, strength)
            mean = untreated[0] + np.float32(strength) * (mean - untreated[0])
        codes.append(code)
        means.append(mean + decoder.unexplained(rows, code))
        halves.append(half)
    shared = np.concatenate(codes)
    shown: Sequence[Floats | None] = [None] * len(wanted)
    if pictures and decoder.velocity is not None:
        shown = list(decoder.pictures(np.repeat(rows, len(wanted)), shared, features=np.concatenate(means)))
    return [Version(name, code, mean[0], (mean - half)[0], (mean + half)[0], picture) for
            (name, _, _), code, mean, half, picture in zip(wanted, shared, means, halves, shown, strict=True)]


def _cautions(bundle: "Bundle", decoder: "Decoder", molecule: Molecule, dose_um: float | None, strength: float,
              series: str, trained: Trained | None) -> tuple[list[str], list[str]]:
    warnings, notes = [], []
    try:
        found = applicability(molecule, bundle.molecules, read_expected(bundle.folder), trained)
        if outside(found):
            warnings.append(f"Outside the training domain: {found.words}")
        else:
            notes.append(found.words)
    except DsslBioError as error:
        warnings.append(str(error))
    if series == "strength" or strength != 1:
        warnings.append("Strength is an interpolation between untreated and the molecule, not a dose: "
                        + ("the decoder knows no doses." if len(decoder.doses_um) < 2 else "doses are asked for apart.")
                        )
    if dose_um is not None and len(decoder.doses_um) < 2:
        warnings.append("The decoder knows no doses: the dose that was asked for changes nothing.")
    elif dose_um is not None and not decoder.doses_um[0] / 2 <= dose_um <= decoder.doses_um[-1] * 2:
        warnings.append(f"The screen's doses go from {decoder.doses_um[0]:g} to {decoder.doses_um[-1]:g} µM; at "
                        f"{dose_um:g} µM the nearest of them is shown.")
    if len(decoder.doses_um) > 1 and (series == "dose" or dose_um is not None):
        notes.append("A dose chooses among learned phenotypes those at that dose; the molecule's own potency is not "
                     "known to the model.")
    notes.append(f"Calibrated on {decoder.facts.calibration}.")
    return warnings, notes


def outside(found: Applicability) -> bool:
    """Whether a molecule is further from the training molecules than nearly all of them are from each other."""
    return not found.trained and found.further <= OUTSIDE


def _whole(bundle: "Bundle", decoder: "Decoder", row: int, treatment: str, versions: list[Version], series: str,
           behind: list[tuple[int, float]], warnings: list[str], notes: list[str]) -> Counterfactual:
    material = decoder.material
    picture = decoder.own_pictures(np.array([row]))[0] if versions[-1].picture is not None else None
    control_row = control_of(material.wells, row)
    control = None
    if picture is not None and control_row is not None:
        control = decoder.own_pictures(np.array([control_row]))[0]
    nearest = nearest_entries(bundle, versions[-1].shared)
    return Counterfactual(material.wells.iloc[row], treatment, np.asarray(material.features[row]), picture, control,
                          versions, series, nearest, _behind(bundle, decoder, behind), warnings, notes)


def control_of(wells: pd.DataFrame, row: int) -> int | None:
    """A negative control of the same plate, other than the well itself."""
    control = (wells[PERT_TYPE] == CONTROL).to_numpy().copy()
    control[row] = False
    if PLATE in wells:
        control &= (wells[PLATE] == wells[PLATE].iloc[row]).to_numpy(bool)
    rows = np.flatnonzero(control)
    return int(rows[0]) if len(rows) else None


def nearest_entries(bundle: "Bundle", shared: Floats, n: int = N_NEAR) -> pd.DataFrame:
    """The measured phenotypes nearest to a predicted shared part, by cosine.

    `attrs["percentile"]` says of how many of the bundle's entries in a hundred the own nearest neighbour is further
    away: near 0, nothing like this was ever measured.
    """
    scores, rows = bundle.index.search(shared[None], n, bundle.run.id)
    columns = [name for name in (ENTRY_KEY, COMPOUND, DOSE_UM, MOA) if name in bundle.entries]
    table = bundle.entries.iloc[rows[0]][columns].assign(cosine=scores[0]).reset_index(drop=True)
    some = np.random.default_rng(0).permutation(len(bundle.entries))[:N_TYPICAL]
    among = bundle.vectors.shared[some] @ bundle.vectors.shared.T
    among[np.arange(len(some)), some] = -np.inf
    table.attrs["percentile"] = float(100 * (among.max(1) < table["cosine"].iloc[0]).mean())
    return table


def _behind(bundle: "Bundle", decoder: "Decoder", found: list[tuple[int, float]]) -> pd.DataFrame:
    names = bundle.molecules.set_index(MOLECULE_ID)
    rows = []
    for number, weight in found:
        one = decoder.library.iloc[number]
        known = names.loc[one[MOLECULE_ID]] if one[MOLECULE_ID] in names.index else None
        told = {column: "" if known is None or column not in names or pd.isna(known[column]) else str(known[column])
                for column in (COMPOUND, MOA)}
        rows.append({"compound": told[COMPOUND] or one[MOLECULE_ID], "mechanism": told[MOA],
                     "dose_um": float(one[DOSE_UM]) if DOSE_UM in one else np.nan, "weight": weight})
    return pd.DataFrame(rows, columns=["compound", "mechanism", "dose_um", "weight"])
