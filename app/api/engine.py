"""The bundles of the interface, opened when first asked, and the library's answers as forms."""

import logging
import threading
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from dssl_bio.app import words
from dssl_bio.app.api import forms
from dssl_bio.app.later import Later
from numpy.typing import NDArray

from dssl_bio.chem.standardize_many import Standardizer
from dssl_bio.errors import DsslBioError, MoleculeError
from dssl_bio.learning.representation import SharedSpecific
from dssl_bio.retrieval.answer import Answer, answer
from dssl_bio.retrieval.applicability import ExpectedRecall, Trained, applicability, read_expected
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.families import typical_entries
from dssl_bio.retrieval.lookup import identify
from dssl_bio.retrieval.ranks import own_rank
from dssl_bio.retrieval.reverse import MoleculeHit, molecules_of, rank_of_molecule
from dssl_bio.retrieval.search import Hit, Searcher
from dssl_bio.retrieval.significance import Null
from dssl_bio.retrieval.tables import SPLIT, Tables
from dssl_bio.retrieval.wells import FEW_CELLS, relative_cell_count
from dssl_bio.screens.entries import ALL_FLAGGED, ENTRY_KEY
from dssl_bio.vocabulary import COMPOUND, DOSE_UM, INCHIKEY, MOA, MOLECULE_ID, PLATE, SMILES, WELL

logger = logging.getLogger(__name__)

TIME_LIMIT_S = 5.0
"""Of one text in the hands of RDKit."""
REQUEST_LIMIT_S = 20.0
"""After this no further molecule of a request is begun."""
MAX_SEARCHERS = 8
OUT_OF_TIME = f"not begun: the request had taken {REQUEST_LIMIT_S:g} s; ask for fewer at once"


class NotServed(DsslBioError):
    """A bundle or an entry that is not there."""


class Engine:
    """Answers of one bundle; every part is read once and never changed."""

    def __init__(self, name: str, folder: Path, pool: Standardizer):
        self.name, self.folder, self.pool = name, folder, pool
        self._lock = threading.RLock()
        self._searchers: dict[float | None, Searcher] = {}

    @cached_property
    def tables(self) -> Tables:
        """Without the model."""
        return Tables.open(self.folder)

    @cached_property
    def _opened(self) -> Bundle:
        return Bundle.open(self.folder)

    @property
    def bundle(self) -> Bundle:
        """With the model; two first requests at once open it once."""
        with self._lock:
            return self._opened

    @cached_property
    def _cells(self) -> NDArray[np.float64] | None:
        wells = self.tables.wells
        return None if wells is None else relative_cell_count(wells, len(self.tables.entries))

    @cached_property
    def _expected(self) -> ExpectedRecall | None:
        return read_expected(self.folder)

    @cached_property
    def _comparing(self) -> Later[Trained]:
        return Later(lambda: Trained.of(self.tables.molecules))

    @cached_property
    def typical_profiles(self) -> NDArray[np.float32]:
        """Profiles with which one's own is compared."""
        profiles = self.bundle.profiles
        assert profiles is not None
        return typical_entries(profiles)

    def searcher(self, dose_um: float | None) -> Searcher:
        """Of all entries, or of those at the doses nearest to one; the last few are kept."""
        bundle = self.bundle
        with self._lock:
            if dose_um not in self._searchers:
                while len(self._searchers) >= MAX_SEARCHERS:
                    self._searchers.pop(next(iter(self._searchers)))
                self._searchers[dose_um] = Searcher(bundle, dose_um)
            return self._searchers[dose_um]

    def facts(self) -> forms.BundleFacts:
        """What is served, told without opening the model."""
        own = self.tables
        doses = own.entries[DOSE_UM].dropna().unique() if DOSE_UM in own.entries else []
        return forms.BundleFacts(
            name=self.name, id=own.id, model_id=str(own.record["model_id"]), screen=str(own.record["screen_name"]),
            reads="images" if own.channels else "profiles", channels=list(own.channels), n_features=len(own.features),
            entries=len(own.entries), molecules=len(own.molecules), doses_um=sorted(float(dose) for dose in doses),
            simulated=own.simulated, warning=words.origin_sentence(own))

    def phenotypes_of(self, texts: Sequence[str], dose_um: float | None, top_k: int) -> forms.PhenotypesFound:
        """Phenotypes of each molecule; a text that is none has its own message."""
        searcher, until = self.searcher(dose_um), time.monotonic() + REQUEST_LIMIT_S
        answers = [self._one(searcher, text, top_k) if time.monotonic() < until else _refused(text, OUT_OF_TIME)
                   for text in texts]
        return forms.PhenotypesFound(**self._head(), answers=answers)

    def molecules_of_entry(self, key: str, top_k: int) -> forms.MoleculesFound:
        """Molecules that should give a phenotype of the bundle."""
        row = self.entry(key)
        own = _text(self.tables.entries.iloc[row], MOLECULE_ID)
        return self.molecules_of(self.bundle.vectors.shared[row], top_k, own=own or "")

    def entry(self, key: str) -> int:
        """Row of an entry.

        Raises:
            NotServed: no entry has that key.
        """
        places = np.flatnonzero(self.tables.entries[ENTRY_KEY].astype(str).to_numpy(object) == key)
        if not len(places):
            raise NotServed(f"bundle {self.name!r} has no entry {key!r}; hits name the entries there are")
        return int(places[0])

    def origin(self) -> dict[str, str]:
        """Which bundle and model answer, and what to know of them."""
        return {"bundle": self.name, "model_id": self.bundle.run.id, "warning": words.origin_sentence(self.tables)}

    def molecules_of(self, vector: NDArray[np.float32], top_k: int, own: str = "",
                     notes: Sequence[str] = ()) -> forms.MoleculesFound:
        """Molecules nearest to a phenotype's shared vector."""
        bundle = self.bundle
        hits = molecules_of(bundle, vector, top_k)
        return forms.MoleculesFound(**self._head(), notes=list(notes),
                                    own_rank=rank_of_molecule(bundle, vector, own) if own else None,
                                    molecules=[self._molecule(hit, own) for hit in hits])

    def _head(self) -> dict[str, str]:
        return {**self.origin(), "null": words.null_sentence(self.bundle.null)}

    def _one(self, searcher: Searcher, text: str, top_k: int) -> forms.MoleculeAnswer:
        try:
            found = answer(searcher, identify(self.tables, text, self.pool), top_k)
        except MoleculeError as error:
            return _refused(text, str(error))
        identified, molecule = found.identified, found.identified.molecule
        return forms.MoleculeAnswer(
            query=text, status="ok", message="", smiles=molecule.smiles, inchikey=molecule.inchikey,
            found_by=identified.how, changes=list(molecule.changes), compound=identified.compound,
            mechanism=identified.mechanism, in_screen=identified.in_screen, split=identified.split,
            standing=words.standing(identified), trust=self._trust(found),
            verdict=words.standing_out(min(hit.q for hit in found.hits)),
            own_rank=own_rank(found.searched, found.vectors.shared[0], found.own_places),
            hits=[self._hit(hit, found) for hit in found.hits])

    def _trust(self, found: Answer) -> str:
        try:
            trained = self._comparing.value()
            return words.COMPARING if trained is None else applicability(
                found.identified.molecule, self.tables.molecules, self._expected, trained).words
        except DsslBioError as error:
            return str(error)

    def _hit(self, hit: Hit, found: Answer) -> forms.PhenotypeHit:
        entry = self.tables.entries.iloc[hit.entry]
        cells = None if self._cells is None or np.isnan(self._cells[hit.entry]) else float(self._cells[hit.entry])
        return forms.PhenotypeHit(
            rank=hit.rank, entry_key=str(entry[ENTRY_KEY]), molecule_id=_text(entry, MOLECULE_ID),
            compound=_text(entry, COMPOUND), dose_um=_number(entry, DOSE_UM), plate=_text(entry, PLATE),
            well=_text(entry, WELL), mechanism=_text(entry, MOA), **_significance(hit, self.bundle.null),
            own=hit.entry in found.identified.entries, cells_left=cells,
            few_cells=cells is not None and cells < FEW_CELLS, all_flagged=bool(entry.get(ALL_FLAGGED, False)))

    def _molecule(self, hit: MoleculeHit, own: str) -> forms.MoleculeFound:
        row = self.tables.molecules.iloc[hit.row]
        return forms.MoleculeFound(
            rank=hit.rank, molecule_id=str(row[MOLECULE_ID]), smiles=str(row[SMILES]), inchikey=str(row[INCHIKEY]),
            compound=_text(row, COMPOUND), mechanism=_text(row, MOA), **_significance(hit, self.bundle.null),
            own=bool(own) and row[MOLECULE_ID] == own, split=_text(row, SPLIT) or "")


class Engines:
    """All bundles of a server, by name."""

    def __init__(self, folders: dict[str, Path], pool: Standardizer):
        self.by_name = {name: Engine(name, folder, pool) for name, folder in folders.items()}

    def named(self, name: str | None) -> Engine:
        """The engine of a bundle; of the first when none is named.

        Raises:
            NotServed: no bundle of that name.
        """
        if not self.by_name:
            raise NotServed("this server serves no bundle")
        if name is None:
            return next(iter(self.by_name.values()))
        if name not in self.by_name:
            raise NotServed(f"no bundle {name!r}; there are {', '.join(self.by_name)}")
        return self.by_name[name]


def own_images(engine: Engine, treated: dict[str, bytes], untreated: dict[str, bytes], pixel_size_um: float | None,
               top_k: int, light: forms.Light = "corrected") -> forms.MoleculesFound:
    """Molecules that should give cells of one's own, one TIFF a channel.

    Raises:
        DsslBioError: the bundle reads profiles, a channel is missing, a file is no image that is accepted, or the
            screen's light is to be divided out and is not known.
    """
    from dssl_bio.retrieval.own_phenotypes import embed_site, site_of

    channels = engine.tables.channels
    if not channels:
        raise NotServed(f"bundle {engine.name!r} reads profiles, not images: ask /phenotype-to-molecules/profile")
    site = site_of(treated, channels)
    control = site_of(untreated, channels) if untreated else None
    size = engine.tables.pixel_size_um if pixel_size_um is None else pixel_size_um
    known = engine.bundle.light
    if light == "screen" and known is None:
        raise NotServed(f"bundle {engine.name!r} keeps no illumination; correct the images before, and leave light out")
    vectors, _ = embed_site(engine.bundle.run, site, size, control, known if light == "screen" else None)
    notes = [] if control is not None else [words.OWN_SCALE]
    notes.append(words.TAKEN_AS_EVEN if light == "corrected" or known is None
                 else f"Both were divided by {known.words()}.")
    return engine.molecules_of(vectors.shared[0], top_k, notes=notes)


def own_profile(engine: Engine, profile: dict[str, float], top_k: int) -> forms.MoleculesFound:
    """Molecules that should give a profile of one's own.

    Raises:
        DsslBioError: the bundle reads images, or a feature that the model reads is missing or too large.
    """
    from dssl_bio.retrieval.own_phenotypes import embed_profile, looks_unlike, profile_row

    if engine.tables.channels:
        raise NotServed(f"bundle {engine.name!r} reads images, not profiles: ask /phenotype-to-molecules/images")
    row = profile_row(profile, engine.tables.features)
    vectors: SharedSpecific = embed_profile(engine.bundle.run, row)
    notes = [words.UNLIKE_PROFILES] if looks_unlike(row, engine.typical_profiles) else []
    return engine.molecules_of(vectors.shared[0], top_k, notes=notes)


def _refused(text: str, message: str) -> forms.MoleculeAnswer:
    return forms.MoleculeAnswer(query=text, status="error", message=message, smiles="", inchikey="", found_by="",
                                changes=[], compound="", mechanism="", in_screen=False, split="", standing="",
                                trust="", verdict="", own_rank=None, hits=[])


def _significance(hit: Hit | MoleculeHit, null: Null) -> dict[str, Any]:
    return {"score": round(hit.score, 6), "p": hit.p, "p_resolvable": hit.p > null.resolution * (1 + 1e-9), "q": hit.q}


def _text(row: pd.Series, column: str) -> str | None:
    return None if column not in row or pd.isna(row[column]) else str(row[column])


def _number(row: pd.Series, column: str) -> float | None:
    return None if column not in row or pd.isna(row[column]) else float(row[column])
