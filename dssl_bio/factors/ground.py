"""The rows on which factors are looked for: a bounded sample of entries, of their wells and of controls."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from dssl_bio.chem.fingerprints import count_morgan
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import BundleError
from dssl_bio.imaging.statistics import site_statistics
from dssl_bio.learning.phenotypes import ImagePhenotypes, Phenotypes, ProfilePhenotypes
from dssl_bio.learning.representation import SharedSpecific
from dssl_bio.learning.run import Run
from dssl_bio.retrieval.build import Indexed
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.tables import ENTRY, SPLIT
from dssl_bio.screens.screen import Screen
from dssl_bio.vocabulary import DOSE_UM, INCHIKEY, MOLECULE_ID, PERT_TYPE, ROW_KEY, SMILES

Floats = NDArray[np.floating]

MAX_ENTRIES, MAX_CONTROLS, MAX_WELLS = 600, 200, 1500
RAW_COMPONENTS = 200
BLOCK = 128


@dataclass(frozen=True)
class Ground:
    """A sample of a bundle's rows with their representations; rows of each pair of parts match.

    Attributes:
        molecules: library molecules that have an entry here, with split.
        molecule_vectors: of them.
        fingerprints: (M, C) principal components of log counts of their fingerprints.
        entries: at most 600, the highest dose of every molecule before any other.
        entry_vectors: of them.
        entry_molecule: (E,) row in `molecules` of each entry, -1 for none.
        wells: of the entries, and controls; all columns of the screen's wells, and `place`, the row in the bundle's
            wells.
        well_vectors: of them.
        well_molecule: (W,) row in `molecules`, -1 for none.
        features: (W, F) profile or statistics of the first site; no columns where neither is at hand.
        names: of the F features.
    """

    molecules: pd.DataFrame
    molecule_vectors: SharedSpecific
    fingerprints: Floats
    entries: pd.DataFrame
    entry_vectors: SharedSpecific
    entry_molecule: NDArray[np.int64]
    wells: pd.DataFrame
    well_vectors: SharedSpecific
    well_molecule: NDArray[np.int64]
    features: Floats
    names: tuple[str, ...]

    @property
    def standardised(self) -> list[Molecule]:
        """The molecules as encoders take them."""
        return [Molecule(smiles, key) for smiles, key in
                zip(self.molecules[SMILES], self.molecules[INCHIKEY], strict=True)]

    def entry_features(self) -> Floats:
        """(E, F) mean features of each entry's wells in the sample; NaN rows for entries without."""
        owner = self.wells[ENTRY].map({int(number): row for row, number in enumerate(self.entries["number"])})
        known = owner.notna().to_numpy()
        place = owner[known].astype(int).to_numpy()
        sums = np.zeros((len(self.entries), self.features.shape[1]))
        np.add.at(sums, place, self.features[known])
        counts = np.bincount(place, minlength=len(self.entries))[:, None]
        return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def ground_of_index(indexed: Indexed, seed: int = 0) -> Ground:
    """The sample of what was just indexed."""
    wells = indexed.screen.wells.iloc[indexed.rows].reset_index(drop=True)
    wells = wells.assign(**{ENTRY: indexed.membership, "row": indexed.rows, "place": np.arange(len(wells))})
    return _drawn(indexed.entries, indexed.vectors, wells, indexed.well_vectors, indexed.library,
                  indexed.library_vectors, indexed.phenotypes, seed)


def ground_of_bundle(bundle: Bundle, run: Run, screen: Screen, seed: int = 0) -> Ground:
    """The sample of a bundle whose screen is at hand; wells are embedded again where the bundle lacks their vectors.

    Raises:
        BundleError: the screen is not the one that was indexed.
    """
    if bundle.record["made_from"]["screen"] != screen.id:
        raise BundleError(f"the bundle was made of screen {bundle.record['screen_name']} "
                          f"({bundle.record['made_from']['screen']}), this is {screen.name} ({screen.id})")
    table = pd.read_parquet(bundle.folder / "wells.parquet")
    place = {key: row for row, key in enumerate(screen.wells[ROW_KEY])}
    rows = np.array([place[key] for key in table[ROW_KEY]], dtype=np.int64)
    phenotypes = run.phenotypes(screen)
    wells = screen.wells.iloc[rows].reset_index(drop=True).assign(
        **{ENTRY: table[ENTRY].to_numpy(), "row": rows, "place": np.arange(len(rows))})
    vectors = bundle.well_vectors
    if vectors is None:
        chosen = _chosen(bundle.entries, wells, seed)
        found = run.embed_wells(phenotypes, rows[chosen[1]])
        parts = [np.zeros((len(rows), part.shape[1]), np.float32) for part in (found.shared, found.specific)]
        for part, values in zip(parts, (found.shared, found.specific), strict=True):
            part[chosen[1]] = values
        vectors = SharedSpecific(*parts)
    return _drawn(bundle.entries, bundle.vectors, wells, vectors, bundle.molecules, bundle.molecule_vectors, phenotypes,
                  seed)


def _drawn(entries: pd.DataFrame, entry_vectors: SharedSpecific, wells: pd.DataFrame, well_vectors: SharedSpecific,
           library: pd.DataFrame, library_vectors: SharedSpecific, phenotypes: Phenotypes, seed: int) -> Ground:
    entry_rows, well_rows = _chosen(entries, wells, seed)
    own_entries = entries.iloc[entry_rows].reset_index(drop=True).assign(number=entry_rows)
    own_wells = wells.iloc[well_rows].reset_index(drop=True)
    ids = library[MOLECULE_ID].isin(own_entries[MOLECULE_ID].dropna())
    molecule_rows = np.flatnonzero(ids.to_numpy())
    molecules = library.iloc[molecule_rows].reset_index(drop=True)
    number = {name: row for row, name in enumerate(molecules[MOLECULE_ID])}
    owner = [table[MOLECULE_ID].map(number).fillna(-1).to_numpy(np.int64) for table in (own_entries, own_wells)]
    values, names = features_of(phenotypes, own_wells["row"].to_numpy(np.int64))
    return Ground(molecules, library_vectors.take(molecule_rows), _fingerprints(molecules), own_entries,
                  entry_vectors.take(entry_rows), owner[0], own_wells, well_vectors.take(well_rows), owner[1],
                  values, tuple(names))


def _chosen(entries: pd.DataFrame, wells: pd.DataFrame, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Entries (highest doses first, one of each molecule before two of any), and rows of wells: theirs and controls."""
    generator = np.random.default_rng(seed)
    order = pd.DataFrame({"molecule": entries[MOLECULE_ID].fillna("").astype(str) + np.where(
        entries[MOLECULE_ID].isna(), np.arange(len(entries)).astype(str), "")})
    order["dose"] = -pd.to_numeric(entries[DOSE_UM], errors="coerce").fillna(0) if DOSE_UM in entries else 0.0
    order["draw"] = generator.permutation(len(order))
    turn = order.sort_values(["dose", "draw"]).groupby("molecule").cumcount()
    ranked = order.assign(turn=turn).sort_values(["turn", "draw"]).index.to_numpy()
    chosen = np.sort(ranked[:MAX_ENTRIES])
    of_entry = np.flatnonzero(wells[ENTRY].isin(chosen).to_numpy())
    if len(of_entry) > MAX_WELLS:
        of_entry = generator.choice(of_entry, MAX_WELLS, replace=False)
    controls = np.flatnonzero((wells[PERT_TYPE] == "negcon").to_numpy())
    if len(controls) > MAX_CONTROLS:
        controls = generator.choice(controls, MAX_CONTROLS, replace=False)
    return chosen, np.union1d(of_entry, controls)


def features_of(phenotypes: Phenotypes, rows: NDArray[np.int64]) -> tuple[Floats, list[str]]:
    """Named features (W, F) of wells: their profiles, or classical statistics of their first sites."""
    if isinstance(phenotypes, ProfilePhenotypes):
        return phenotypes.read(rows).numpy().astype(np.float64), list(phenotypes.features)
    if not isinstance(phenotypes, ImagePhenotypes):
        return np.zeros((len(rows), 0)), []
    parts, names = [], [""]
    for start in range(0, len(rows), BLOCK):
        sites = np.array([phenotypes.sites_of(int(row))[0] for row in rows[start:start + BLOCK]])
        values, names = site_statistics(phenotypes.read(sites), phenotypes.images.channels)
        parts.append(values)
    return (np.concatenate(parts).astype(np.float64), list(names)) if parts else (np.zeros((0, 0)), [])


def components(values: Floats, n: int = RAW_COMPONENTS) -> Floats:
    """Leading principal components of standardised columns, fewer where there are fewer; NaN rows stay NaN."""
    known = ~np.isnan(values).any(1)
    result = np.full((len(values), min(n, values.shape[1], max(int(known.sum()) - 1, 0))), np.nan)
    if result.shape[1]:
        x = values[known]
        spread = x.std(0)
        z = np.clip((x - x.mean(0)) / np.where(spread > 1e-9, spread, 1), -8, 8)
        result[known] = PCA(result.shape[1], svd_solver="full").fit_transform(z) if z.any() else 0.0
    return result


def _fingerprints(molecules: pd.DataFrame) -> Floats:
    counts = [count_morgan(Molecule(smiles, key)) for smiles, key in
              zip(molecules[SMILES], molecules[INCHIKEY], strict=True)]
    logs = np.log1p(np.array(counts, dtype=float).reshape(len(molecules), -1))
    return components(logs[:, logs.std(0) > 0] if len(logs) else logs)


def held_out(ground: Ground, ids: "pd.Series[object]") -> NDArray[np.bool_]:
    """Which rows' molecules the model was not trained on and did not choose its weights by."""
    fresh = set(ground.molecules.loc[ground.molecules[SPLIT] == "test", MOLECULE_ID])
    return ids.isin(fresh).to_numpy()
