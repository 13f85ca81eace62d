"""The factors of one molecule or one phenotype: positions on named axes, neighbours by both parts, attribution."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import BundleError, DsslBioError, QueryError
from dssl_bio.factors.attribution import GRID, Weights, atom_weights, channel_weights, family_weights
from dssl_bio.factors.axes import Axes
from dssl_bio.factors.index import Factors, read_factors
from dssl_bio.learning.collapse import Collapse, resultant_length
from dssl_bio.learning.representation import SharedSpecific
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.families import Usual, typical_entries
from dssl_bio.retrieval.named_wells import not_found, only_well
from dssl_bio.retrieval.neighbours import cosines_with_library, nearest
from dssl_bio.retrieval.tables import ENTRY, WELLS
from dssl_bio.screens.entries import ENTRY_KEY
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, MOA, MOLECULE_ID, PERT_TYPE, PLATE, ROW_KEY, WELL

NEIGHBOURS, KEPT = 6, 256
SHARE_TEXT = ("An estimate: how sharply each part picks this one out among all others of the bundle, in nats "
              "(ln N minus the entropy of a softmax of cosines at the temperature of training); the share is that of "
              "the shared part in the sum of both.")


@dataclass(frozen=True)
class Share:
    """How much of what tells this one from others is shared; an estimate, see SHARE_TEXT.

    Attributes:
        shared_nats: information of the shared part.
        specific_nats: of the specific part.
        most_nats: ln N, what would name one among all N.
    """

    shared_nats: float
    specific_nats: float
    most_nats: float

    @property
    def share(self) -> float:
        """Of the shared part, from 0 to 1; NaN where neither part tells anything."""
        total = self.shared_nats + self.specific_nats
        return self.shared_nats / total if total > 0 else float("nan")


@dataclass(frozen=True)
class OneFactors:
    """What is known of one molecule or phenotype.

    Attributes:
        side: molecule or phenotype.
        title: its name.
        facts: what the bundle's tables say of it, as pairs.
        positions: axis, kind, metric, score, percentile, low, high: one row a named axis.
        shared_neighbours: nearest by the shared part, with both cosines.
        specific_neighbours: nearest by the specific part.
        share: of its information that is shared.
        weights: of atoms, of channels in places, or of families; None where they cannot be told.
        parts: what the weights are of: `atoms`, `places` or the names of families.
        notes: what could not be told, and why.
        molecule: for the molecule side.
        picture: number of the picture for the phenotype side, -1 for none.
    """

    side: str
    title: str
    facts: list[tuple[str, str]]
    positions: pd.DataFrame
    shared_neighbours: pd.DataFrame
    specific_neighbours: pd.DataFrame
    share: Share
    weights: Weights | None
    parts: tuple[str, ...]
    notes: list[str] = field(default_factory=list)
    molecule: Molecule | None = None
    picture: int = -1


class Asker:
    """Answers questions about single molecules and phenotypes of a bundle; answers are kept."""

    def __init__(self, bundle: Bundle):
        """Opens the factors of a bundle; without them everything but positions on axes is told."""
        self.bundle, self.note = bundle, ""
        self.factors: Factors | None = None
        try:
            self.factors = read_factors(bundle.folder)
        except BundleError as error:
            self.note = str(error)
        self._kept: OrderedDict[tuple[str, ...], OneFactors] = OrderedDict()
        self._lock = threading.Lock()
        path = bundle.folder / WELLS
        self.wells = pd.read_parquet(path) if path.is_file() else None
        self._usual: tuple[Usual, NDArray[np.float32]] | None = None
        self._collapsed = {"molecule": _resultant(bundle.molecule_vectors), "phenotype": _resultant(bundle.vectors)}

    def molecule(self, molecule: Molecule, dose_um: float | None = None) -> OneFactors:
        """Factors of a molecule, of the bundle or not.

        Raises:
            DsslBioError: the dose is not positive.
        """
        return self._once(("molecule", molecule.smiles, str(dose_um)), lambda: self._molecule(molecule, dose_um))

    def well(self, text: str) -> OneFactors:
        """Factors of a well (any name that `wells_named` takes) or of an entry (its key).

        Raises:
            QueryError: there is none of that name, with the nearest names; or several wells have it.
        """
        kind, number = self.find(text)
        return self._once((kind, str(number)), lambda: self._phenotype(kind, number))

    def entry(self, number: int) -> OneFactors:
        """Factors of an entry by its number."""
        return self._once(("entry", str(number)), lambda: self._phenotype("entry", number))

    def find(self, text: str) -> tuple[str, int]:
        """`well` and its row in the wells' table, or `entry` and its number; see `well`."""
        keys = self.bundle.entries[ENTRY_KEY].astype(str)
        if self.wells is not None and (row := only_well(self.wells, text)) is not None:
            return "well", row
        if (match := np.flatnonzero(keys == text.strip())).size:
            return "entry", int(match[0])
        names = [] if self.wells is None else self.wells[ROW_KEY].astype(str).tolist()
        raise not_found("well or entry", text, [*names, *keys])

    def _once(self, key: tuple[str, ...], make: Callable[[], OneFactors]) -> OneFactors:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()  # outside of the lock: sessions that ask other things do not wait for it
        with self._lock:
            self._kept[key] = made
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made

    def _notes(self, side: str) -> list[str]:
        """What there is to say beforehand: no factors are kept, or the specific part tells nothing."""
        length = self._collapsed[side]
        told = (f"The {side}s' specific vectors hardly differ (resultant length {length:.3f}): step 2 has collapsed, "
                "and neighbours and weights of the specific part mean little.")
        return [note for note in (self.note, told if length >= Collapse.NEAR_ONE else "") if note]

    def _molecule(self, molecule: Molecule, dose_um: float | None) -> OneFactors:
        bundle = self.bundle
        vectors = bundle.run.embed_molecules([molecule], dose_um)
        known = bundle.molecules[bundle.molecules[MOLECULE_ID] == molecule.id]
        table = cosines_with_library(bundle, vectors, molecule.id)
        notes = self._notes("molecule")
        weights = None
        try:
            weights = atom_weights(bundle.run, molecule, dose_um, phenotypes=bundle.vectors.shared)
        except DsslBioError as error:
            notes.append(str(error))
        facts = [("SMILES", molecule.smiles)]
        if len(known):
            facts += [(label, str(known[column].iloc[0])) for label, column in (("compound", COMPOUND),
                      ("mechanism", MOA), ("split", "split")) if column in known and pd.notna(known[column].iloc[0])]
        others = (bundle.molecules[MOLECULE_ID] != molecule.id).to_numpy()
        title = next((text for label, text in facts if label == "compound"), molecule.smiles[:60])
        return OneFactors("molecule", title, facts, self._positions("molecule", vectors),
                          nearest(table, "shared", molecule, NEIGHBOURS),
                          nearest(table, "specific", molecule, NEIGHBOURS),
                          self._share(vectors, bundle.molecule_vectors, others), weights, ("atoms",), notes, molecule)

    def _phenotype(self, kind: str, number: int) -> OneFactors:
        bundle, notes = self.bundle, self._notes("phenotype")
        entry, facts, title, vectors = number, [], "", None
        if kind == "well":
            assert self.wells is not None
            row = self.wells.iloc[number]
            entry, title = int(row[ENTRY]), str(row[ROW_KEY])
            facts = [(str(name).removeprefix("Metadata_"), str(row[name])) for name in self.wells
                     if name not in (ROW_KEY, ENTRY) and pd.notna(row[name])]
            vectors = self._well_vector(number)
            if vectors is None and entry >= 0:
                notes.append("this bundle keeps no vectors of single wells: what follows is of the well's entry")
            elif vectors is None and row[PERT_TYPE] != "negcon":
                raise QueryError(f"well {title} is in the screen and was not indexed")
        else:
            own = bundle.entries.iloc[number]
            title = str(own[ENTRY_KEY])
            facts = [(str(name).removeprefix("Metadata_"), str(own[name])) for name in bundle.entries
                     if name not in ("picture", ENTRY_KEY) and pd.notna(own[name])]
        if vectors is None:
            vectors = (bundle.vectors.take(np.array([entry])) if entry >= 0 else self._control_vector(title))
        table = bundle.entries[[c for c in (ENTRY_KEY, MOLECULE_ID, COMPOUND, DOSE_UM, MOA, PLATE, WELL)
                                if c in bundle.entries]].assign(
            number=np.arange(len(bundle.entries)), shared_cosine=bundle.vectors.shared @ vectors.shared[0],
            specific_cosine=bundle.vectors.specific @ vectors.specific[0])
        table = table[table["number"] != entry]
        weights, parts = self._phenotype_weights(entry, title, notes)
        others = np.arange(len(bundle.entries)) != entry
        return OneFactors("phenotype", title, facts, self._positions("phenotype", vectors),
                          _first(table, "shared_cosine"), _first(table, "specific_cosine"),
                          self._share(vectors, bundle.vectors, others), weights, parts, notes,
                          picture=self._picture(entry, title))

    def _well_vector(self, number: int) -> SharedSpecific | None:
        kept = self.bundle.well_vectors
        if kept is None or not kept.shared[number].any():
            return None
        return kept.take(np.array([number]))

    def _control_vector(self, key: str) -> SharedSpecific:
        rows = np.flatnonzero((self.bundle.controls[ROW_KEY] == key).to_numpy())
        if not len(rows):
            raise QueryError(f"well {key} was not indexed")
        return self.bundle.control_vectors.take(rows[:1])

    def _picture(self, entry: int, key: str) -> int:
        if self.bundle.pictures is None:
            return -1
        table = self.bundle.entries if entry >= 0 else self.bundle.controls
        rows = [entry] if entry >= 0 else np.flatnonzero((table[ROW_KEY] == key).to_numpy()).tolist()
        return int(table["picture"].iloc[rows[0]]) if rows and "picture" in table else -1

    def _phenotype_weights(self, entry: int, key: str, notes: list[str]) -> tuple[Weights | None, tuple[str, ...]]:
        bundle = self.bundle
        if bundle.pictures is not None:
            number = self._picture(entry, key)
            if number < 0:
                notes.append("no picture of this well is kept, so channels and places have no weights")
                return None, ()
            picture = np.asarray(bundle.pictures[number], dtype=np.float32) / 255
            return channel_weights(bundle.run, picture, GRID), ("places",)
        if bundle.profiles is None or entry < 0:
            notes.append("the profile of this well is not kept, so feature families have no weights")
            return None, ()
        if self._usual is None:
            typical = typical_entries(bundle.profiles)
            self._usual = Usual.of(bundle.run.facts.features, typical), typical.mean(0)
        usual, mean = self._usual
        return family_weights(bundle.run, np.asarray(bundle.profiles[entry]), mean, usual.codes), tuple(usual.names)

    def _positions(self, side: str, vectors: SharedSpecific) -> pd.DataFrame:
        axes: Axes | None = self.factors.axes.get(side) if self.factors else None
        names = ["axis", "kind", "metric", "score", "percentile", "low", "high"]
        if axes is None or not axes.axes:
            return pd.DataFrame(columns=names)
        places = axes.percentiles(vectors.specific)[0]
        return pd.DataFrame([(axis.name, axis.kind, axis.metric, axis.score, float(place), axis.low, axis.high)
                             for axis, place in zip(axes.axes, places, strict=True)], columns=names)

    def _share(self, own: SharedSpecific, library: SharedSpecific, others: NDArray[np.bool_]) -> Share:
        """See SHARE_TEXT; in step 2 the specific part is half of a joined vector, so its temperature is twice that."""
        config = self.bundle.run.config
        found = []
        for one, all_of_them, temperature in (
                (own.shared[0], library.shared, config.shared.temperature),
                (own.specific[0], library.specific, 2 * config.specific.temperature)):
            logits = np.append(all_of_them[others] @ one, one @ one).astype(float) / temperature
            p = np.exp(logits - logits.max())
            p /= p.sum()
            entropy = -float((p[p > 0] * np.log(p[p > 0])).sum())
            found.append(max(0.0, float(np.log(len(p))) - entropy))
        return Share(found[0], found[1], float(np.log(others.sum() + 1)))


def _resultant(vectors: SharedSpecific) -> float:
    """Resultant length of the specific vectors: 1 when all are one; 0 where there are none."""
    return resultant_length(torch.from_numpy(vectors.specific)) if len(vectors) and vectors.specific.size else 0.0


def _first(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The nearest, equal ones in the order of their keys."""
    rounded = table.assign(_rounded=table[column].round(6))
    return rounded.sort_values(["_rounded", ENTRY_KEY], ascending=[False, True]).head(NEIGHBOURS).drop(
        columns="_rounded").reset_index(drop=True)
