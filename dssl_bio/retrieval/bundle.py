"""A Bundle: a Run and the phenotypes indexed with it; what `retrieve` and `serve` open."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.numpy import load_file

from dssl_bio.artefact import identity, read_record, verify
from dssl_bio.errors import BundleError
from dssl_bio.learning.representation import SharedSpecific
from dssl_bio.learning.run import Run
from dssl_bio.retrieval.index import PhenotypeIndex
from dssl_bio.retrieval.light import LIGHT, MeanLight
from dssl_bio.retrieval.significance import Null
from dssl_bio.retrieval.tables import CONTROLS, ENTRIES, MOLECULES, PICTURES, RUN_FOLDER
from dssl_bio.vocabulary import DOSE_UM, MOLECULE_ID

VECTORS, NULL, WELL_VECTORS = "vectors.safetensors", "null.safetensors", "well_vectors.safetensors"
PROFILES, PROFILE_FEATURES = "profiles.npy", "profile_features.json"


@dataclass(frozen=True)
class Bundle:
    """Everything a query needs; read-only.

    Attributes:
        folder: where it lies.
        record: its bundle.json.
        run: the model.
        entries: one row an entry, sorted by key (see screens.entries), with the number of its picture.
        vectors: shared (N, D) and specific (N, E) of the entries.
        controls: negative-control wells with plate and the number of their picture.
        control_vectors: of the controls.
        molecules: the library: molecules of the screen and of the model's training, with split and in_screen.
        molecule_vectors: of the library.
        null: scores of unrelated pairs.
    """

    folder: Path
    record: dict[str, Any]
    run: Run
    entries: pd.DataFrame
    vectors: SharedSpecific
    controls: pd.DataFrame
    control_vectors: SharedSpecific
    molecules: pd.DataFrame
    molecule_vectors: SharedSpecific
    null: Null

    @classmethod
    def open(cls, folder: Path, *, check: bool = True) -> "Bundle":
        """Opens a bundle folder after its checksums were verified.

        Raises:
            BundleError: not a bundle, damaged, or its vectors were made by another model than the one inside.
        """
        record = verify(folder, "bundle") if check else read_record(folder, "bundle")
        run = Run.open(folder / RUN_FOLDER, check=check)
        if run.id != record["model_id"]:
            raise BundleError(f"{folder}: its vectors were made by model {record['model_id']}, the model inside is "
                              f"{run.id}; make the bundle again with `dssl-bio index`")
        arrays = load_file(folder / VECTORS)
        sets = [SharedSpecific(arrays[f"{name}.shared"], arrays[f"{name}.specific"])
                for name in ("entries", "controls", "molecules")]
        tables = [pd.read_parquet(folder / name) for name in (ENTRIES, CONTROLS, MOLECULES)]
        for table, vectors in zip(tables, sets, strict=True):
            if len(table) != len(vectors):
                raise BundleError(f"{folder}: a table of {len(table)} rows stands beside {len(vectors)} vectors")
        null = Null(record["null"]["name"], load_file(folder / NULL)["scores"])
        return cls(folder, record, run, tables[0], sets[0], tables[1], sets[1], tables[2], sets[2], null)

    @property
    def id(self) -> str:
        """Twelve characters that name the bundle by its content."""
        return identity(self.record)

    @property
    def simulated(self) -> bool:
        """True when the phenotypes or the model come from a simulated screen."""
        return bool(self.record["simulated"])

    @cached_property
    def index(self) -> PhenotypeIndex:
        """Index over all entries."""
        return PhenotypeIndex(self.vectors.shared, self.run.id)

    @cached_property
    def well_vectors(self) -> SharedSpecific | None:
        """Of each well of the wells' table, zeros where it was not indexed; None in older and in very large bundles."""
        path = self.folder / WELL_VECTORS
        return SharedSpecific(**load_file(path)) if path.is_file() else None

    @cached_property
    def pictures(self) -> NDArray[np.uint8] | None:
        """(P, C, h, w) scaled pictures, memory-mapped; None for profiles."""
        path = self.folder / PICTURES
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.is_file() else None

    @cached_property
    def profiles(self) -> NDArray[np.float32] | None:
        """(N, F) mean normalised profile of each entry, memory-mapped; None for images."""
        path = self.folder / PROFILES
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.is_file() else None

    @cached_property
    def light(self) -> MeanLight | None:
        """Mean illumination of the screen's plates; None where none was corrected, for profiles, in older bundles."""
        path = self.folder / LIGHT
        return MeanLight.read(path) if path.is_file() else None

    def nearest_doses(self, dose_um: float) -> NDArray[np.int64]:
        """Entries at each molecule's dose nearest to one (by ratio); entries without dose or molecule stay.

        Raises:
            BundleError: the dose is not positive, or no entry has a dose.
        """
        if not dose_um > 0:
            raise BundleError(f"a dose must be positive, got {dose_um:g} uM")
        if DOSE_UM not in self.entries or self.entries[DOSE_UM].isna().all():
            raise BundleError("no entry of this bundle has a dose")
        dose = self.entries[DOSE_UM].to_numpy(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = pd.Series(np.abs(np.log(dose / dose_um)))
        nearest = distance.groupby(self.entries[MOLECULE_ID]).transform("min").to_numpy()
        keep = np.isnan(distance) | self.entries[MOLECULE_ID].isna().to_numpy() | (distance <= nearest + 1e-9)
        return np.flatnonzero(keep)
