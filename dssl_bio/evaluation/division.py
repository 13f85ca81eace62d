"""One division of a screen for evaluation: what a method may learn from, what is asked, and of which gallery."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import DsslBioError
from dssl_bio.learning.activity import known_activity
from dssl_bio.screens.entries import ENTRY_KEY, EntryMode, entries_of
from dssl_bio.screens.expressions import parse
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import BATCH, COMPOUND, INCHIKEY, MOA, MOLECULE_ID, PLATE, SMILES

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Division:
    """A screen with its molecules divided into training and held-out ones.

    Attributes:
        screen: the data.
        fold: name of the division.
        molecules: those that take part, sorted by molecule_id: molecule_id, SMILES, InChIKey, group, split,
            held_out, mechanism, active (missing when not known), compound, plates and batches of their entries where
            known.
        entries: the gallery, training and held-out entries: entry_key, molecule_id, mechanism, active, plate, batch,
            held_out.
        rows: (R,) positions in the screen's wells of all wells with the modality that quality control leaves in.
        membership: (R,) number of each well's entry, -1 for none.
        training: (R,) wells that a method may learn from.
        profiles: (R, F) normalised profile of each well, or statistics of its images.
    """

    screen: Screen
    fold: str
    molecules: pd.DataFrame
    entries: pd.DataFrame
    rows: NDArray[np.int64]
    membership: NDArray[np.int64]
    training: Mask
    profiles: NDArray[np.float32] = field(repr=False)

    @cached_property
    def standardised(self) -> list[Molecule]:
        """The molecules as the chemistry functions take them, in the order of `molecules`."""
        return [Molecule(smiles, key) for smiles, key in
                zip(self.molecules[SMILES], self.molecules[INCHIKEY], strict=True)]

    @cached_property
    def owner(self) -> NDArray[np.int64]:
        """(R,) number in `molecules` of each well's molecule, -1 for none."""
        place = pd.Series(np.arange(len(self.molecules)), index=self.molecules[MOLECULE_ID])
        ids = self.screen.wells[MOLECULE_ID].iloc[self.rows]
        return ids.map(place).fillna(-1).to_numpy(np.int64)

    @cached_property
    def known(self) -> NDArray[np.int64]:
        """Numbers in `molecules` of those that a method may learn from: not held out, with a training well."""
        measured = np.unique(self.owner[self.training])
        return measured[~self.molecules["held_out"].to_numpy()[measured]]

    @cached_property
    def entry_profiles(self) -> NDArray[np.float64]:
        """(N, F) mean profile of each entry's wells."""
        return means(self.profiles, self.membership, len(self.entries))

    @cached_property
    def known_profiles(self) -> NDArray[np.float64]:
        """(K, F) mean profile of each of `known` over its training wells."""
        number = np.where(self.training, self.owner, -1)
        return means(self.profiles, number, len(self.molecules))[self.known]

    @cached_property
    def known_gallery_profiles(self) -> NDArray[np.float64]:
        """(K, F) mean profile of each of `known` over its gallery wells; over its training wells where it has none.

        Where the gallery is another run or batch, this is how that run measures molecules that are not held out.
        """
        number = np.where(self.membership >= 0, self.owner, -1)
        found = means(self.profiles, number, len(self.molecules))[self.known]
        return np.where(np.isnan(found), self.known_profiles, found)


def divide(screen: Screen, split: pd.DataFrame, rows: NDArray[np.int64], profiles: NDArray[np.float32], *, fold: str,
           mode: EntryMode = "consensus", train_where: str | None = None, gallery_where: str | None = None,
           activity: "pd.Series[bool] | None" = None, sound: Mask | None = None) -> Division:
    """Divides a screen by a split of its molecules.

    Args:
        screen: the data.
        split: molecule_id, group, split (train, valid: may be learnt from; test: held out; anything else: left out).
        rows: wells that have the modality.
        profiles: (len(rows), F) their profiles.
        fold: name of the division.
        mode: what an entry is.
        train_where: wells that may be learnt from.
        gallery_where: wells that are entries.
        activity: by molecule_id; from the screen's annotations when absent.
        sound: (len(rows),) wells with a site that quality control did not flag: the others are learnt from by no method
            and take part only as an entry that has no sound well. All when absent.

    Raises:
        DsslBioError: no held-out entry, or nothing to learn from.
    """
    wells = screen.wells
    molecules = _molecules(screen, split, known_activity(screen) if activity is None else activity)
    part = wells[MOLECULE_ID].map(molecules.set_index(MOLECULE_ID)["split"]).to_numpy(object)[rows]
    takes_part = pd.notna(part)
    in_gallery = takes_part & _mask(wells, gallery_where)[rows]
    sound = np.ones(len(rows), dtype=bool) if sound is None else sound
    training = takes_part & (part != "test") & _mask(wells, train_where)[rows] & sound
    entries, numbers = entries_of(wells, rows[in_gallery], mode, sound[in_gallery])
    membership = np.full(len(rows), -1, dtype=np.int64)
    membership[in_gallery] = numbers
    facts = molecules.set_index(MOLECULE_ID)
    for name in ("held_out", "active"):
        entries[name] = entries[MOLECULE_ID].map(facts[name]).to_numpy()
    entries["held_out"] = entries["held_out"].astype(bool)
    entries["mechanism"] = entries[MOA] if MOA in entries else None
    if not entries["held_out"].any():
        raise DsslBioError(f"{fold}: no held-out molecule of screen {screen.name} has an entry"
                           + (f" where {gallery_where}" if gallery_where else ""))
    if not training.any():
        raise DsslBioError(f"{fold}: no training well" + (f" where {train_where}" if train_where else ""))
    if BATCH in wells:
        batch = wells[BATCH].iloc[rows[in_gallery]].astype(object).where(lambda values: values.notna(), "")
        entries[BATCH] = batch.astype(str).groupby(numbers).agg(_joined).reindex(range(len(entries))).to_numpy()
    for place in (PLATE, BATCH):
        if place in entries:
            places = entries.groupby(MOLECULE_ID)[place].agg(_joined)
            molecules[place] = molecules[MOLECULE_ID].map(places).fillna("").to_numpy()
    stays = sound | (membership >= 0)
    return Division(screen, fold, molecules, entries, rows[stays], membership[stays], training[stays],
                    profiles if stays.all() else profiles[stays])


def query_molecules(division: Division) -> pd.DataFrame:
    """Held-out molecules as queries, without plates: one question each, and one on every plate of its entries."""
    molecules = division.molecules[division.molecules["held_out"]]
    return molecules.assign(query=molecules[MOLECULE_ID]).drop(columns=[PLATE, BATCH], errors="ignore")


def query_entries(division: Division) -> pd.DataFrame:
    """Held-out entries as queries, asked on their own plates."""
    entries = division.entries[division.entries["held_out"]]
    return entries.assign(query=entries[ENTRY_KEY])


def means(values: NDArray[np.floating], number: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    """Mean of the rows of values (R, F) of each of n groups; NaN for a group without rows."""
    chosen = number >= 0
    sums = np.zeros((n, values.shape[1]))
    np.add.at(sums, number[chosen], values[chosen])
    counts = np.bincount(number[chosen], minlength=n)[:, None]
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _molecules(screen: Screen, split: pd.DataFrame, activity: "pd.Series[bool]") -> pd.DataFrame:
    parts = split[split["split"].isin(["train", "valid", "test"])].sort_values(MOLECULE_ID)
    columns = [name for name in (SMILES, INCHIKEY, COMPOUND, MOA) if name in screen.molecules]
    table = screen.molecules.set_index(MOLECULE_ID)[columns]
    parts = parts[parts[MOLECULE_ID].isin(table.index)]
    molecules = parts[[MOLECULE_ID, "group", "split"]].join(table, on=MOLECULE_ID).reset_index(drop=True)
    molecules["held_out"] = molecules["split"] == "test"
    molecules["mechanism"] = molecules[MOA] if MOA in molecules else None
    molecules["active"] = pd.array(molecules[MOLECULE_ID].map(activity).to_numpy(object), dtype="boolean")
    return molecules


def _mask(wells: pd.DataFrame, where: str | None) -> Mask:
    return parse(where).mask(wells) if where else np.ones(len(wells), dtype=bool)


def _joined(texts: "pd.Series[str]") -> str:
    return ";".join(dict.fromkeys(plate for text in texts for plate in str(text).split(";") if plate))
