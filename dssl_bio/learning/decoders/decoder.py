"""Decoders from (shared, specific) to features and pictures, and the wells they start from: how they are asked."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from dssl_bio.artefact import read_record, verify
from dssl_bio.errors import BundleError
from dssl_bio.learning.decoders.config import DecoderConfig
from dssl_bio.learning.decoders.flow import Velocity
from dssl_bio.learning.decoders.material import CONTROL, TREATMENT, USE, Material, as_floats, places
from dssl_bio.learning.decoders.pictures import edited, shown
from dssl_bio.learning.decoders.prior import OWN_TEMPERATURE, at_dose, expected, kept_share, weights
from dssl_bio.learning.decoders.profile import ProfileDecoder
from dssl_bio.learning.decoders.storage import FOLDER, DecoderFacts, read_decoder
from dssl_bio.vocabulary import DOSE_UM, MOLECULE_ID, PERT_TYPE

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Decoder:
    """Decoders to features and to pictures, and the wells they start from; read-only.

    Attributes:
        folder: where it lies.
        record: its decoder.json.
        config: resolved.
        facts: shapes and what was calibrated.
        profile: to features, in evaluation mode.
        velocity: to pictures; None for profiles.
        material: the wells; features and pictures are memory-mapped.
    """

    folder: Path
    record: dict[str, Any]
    config: DecoderConfig
    facts: DecoderFacts
    profile: ProfileDecoder
    velocity: Velocity | None
    material: Material

    @classmethod
    def open(cls, bundle: Path, model_id: str, *, check: bool = True) -> "Decoder":
        """Opens the decoder of a bundle.

        Args:
            bundle: the bundle's folder.
            model_id: of the run inside; a decoder of another is refused.
            check: compare every file's checksum.

        Raises:
            BundleError: the bundle has none (the message says which command makes one), or it is damaged or another
                model's.
        """
        folder = bundle / FOLDER
        if not folder.exists():
            raise BundleError(f"{bundle} has no decoder; make one with `dssl-bio decode {bundle} SCREEN`, SCREEN being "
                              "the screen folder that was indexed")
        record = verify(folder, "decoder") if check else read_record(folder, "decoder")
        if record["made_from"]["run"] != model_id:
            raise BundleError(f"{folder} was made for model {record['made_from']['run']}, the bundle's is {model_id}; "
                              f"make it again with `dssl-bio decode`")
        parts = read_decoder(folder)
        return cls(folder, record, parts.config, parts.facts, parts.profile, parts.velocity, parts.material)

    @cached_property
    def control_code(self) -> Floats | None:
        """(1, D) shared part of the untreated; None in a screen without negative controls."""
        control = (self.material.wells[PERT_TYPE] == CONTROL).to_numpy()
        if not control.any():
            return None
        return self.material.treatments[self.material.treatment[control][:1]]

    @cached_property
    def library(self) -> pd.DataFrame:
        """The treatments that the decoder learned from: molecule_id, dose, `treatment`; one row each, no controls."""
        wells = self.material.wells
        kept = (wells[USE] == "train") & wells[MOLECULE_ID].notna() & (wells[PERT_TYPE] != CONTROL)
        columns = [name for name in (MOLECULE_ID, DOSE_UM, TREATMENT) if name in wells]
        return wells.loc[kept, columns].drop_duplicates(TREATMENT).reset_index(drop=True)

    @property
    def doses_um(self) -> list[float]:
        """Doses of the treatments that it learned from, ascending; empty where none is known."""
        return sorted(self.library[DOSE_UM].dropna().unique().tolist()) if DOSE_UM in self.library else []

    def source_code(self, rows: NDArray[np.int64]) -> Floats:
        """(N, D) shared part of what wells got: the mean direction over wells of the same treatment."""
        return self.material.treatments[self.material.treatment[rows]]

    def specific(self, rows: NDArray[np.int64]) -> Floats:
        """(N, E) specific part of wells, without columns where the decoder does not read it."""
        own = self.material.codes.specific[rows]
        return own if self.facts.specific_dim else own[:, :0]

    def expected(self, molecules: Floats, dose_um: float | None = None) -> Floats:
        """(M, D) mean direction of the phenotypes to expect of molecules (M, D), at the doses nearest to one."""
        return expected(molecules, self.learned(dose_um)[1], self.facts.temperature)

    def behind(self, molecule: Floats, dose_um: float | None = None, n: int = 5) -> list[tuple[int, float]]:
        """Treatments with most weight in the expected phenotype of a molecule (1, D): row of `library`, weight."""
        rows, codes = self.learned(dose_um)
        share = weights(molecule, codes, self.facts.temperature)[0]
        return [(int(rows[i]), float(share[i])) for i in np.argsort(-share, kind="stable")[:n]]

    def anticipated(self, molecules: Floats, specific: Floats, dose_um: float | None = None) -> tuple[Floats, Floats]:
        """Features to expect of molecules (N, D) in wells with specific parts (N, E), and half of their 90 % interval.

        The mean over the treatments that the decoder learned from, each decoded with the well's specific part and
        weighted by how much it is to be expected of the molecule; the spread holds how much those differ.
        """
        codes = self.learned(dose_um)[1]
        share = torch.from_numpy(weights(molecules, codes, self.facts.temperature).astype(np.float32))
        means, halves = [], []
        for number in range(len(molecules)):
            mean, variance = mixture(self.profile, codes, specific[number], share[number:number + 1])
            means.append((mean * self.profile.spread + self.profile.mean)[0])
            halves.append((variance.sqrt() * self.profile.widening * self.profile.spread)[0])
        return torch.stack(means).numpy(), torch.stack(halves).numpy()

    def features(self, shared: Floats, specific: Floats) -> tuple[Floats, Floats]:
        """Mean and half of the 90 % interval of features (N, F)."""
        with torch.inference_mode():
            s, p = torch.from_numpy(shared), torch.from_numpy(specific)
            return self.profile.decoded(s, p).numpy(), self.profile.half_width(s, p).numpy()

    def under(self, shared: Floats, specific: Floats) -> Floats:
        """Features (N, F) under treatments of known shared parts (N, D) in wells with specific parts (N, E).

        Each shared part is read as a mixture of treatments that the decoder learned from: codes of other treatments lie
        beside those, where a decoder was never asked, and what differs between two that do nothing is noise.
        """
        share = torch.from_numpy(weights(shared, self._known, OWN_TEMPERATURE).astype(np.float32))
        means = [mixture(self.profile, self._known, own, one[None])[0][0] for own, one in
                 zip(specific, share, strict=True)]
        return (torch.stack(means) * self.profile.spread + self.profile.mean).numpy()

    def unexplained(self, rows: NDArray[np.int64], target: Floats | None = None) -> Floats:
        """(N, F) what the decoder does not explain of wells, or what of it is kept under other shared parts (N, D).

        What all wells of the plate (or run) have in common is kept whole; of the rest, taken from what `under` says of
        the well's own treatment, what `kept_share` says. So `under` of what a well got and what is kept of it are the
        well itself.
        """
        source, specific = self.source_code(rows), self.specific(rows)
        measured = np.asarray(self.material.features[rows])
        if target is None:
            return measured - self.features(source, specific)[0]
        of_place = self._of_places[places(self.material.wells)[rows]]
        kept = kept_share(*(expected(code, self._known, OWN_TEMPERATURE) for code in (source, target)))
        return of_place + kept * (measured - self.under(source, specific) - of_place)

    @cached_property
    def _known(self) -> Floats:
        """(T, D) shared parts of the treatments that the decoder learned from, no treatment among them."""
        codes = self.learned(None)[1]
        return codes if self.control_code is None else np.concatenate([codes, self.control_code])

    @cached_property
    def _of_places(self) -> Floats:
        """(P, F) mean of what is unexplained of each plate's (or run's) wells with a learned treatment."""
        material, place = self.material, places(self.material.wells)
        learned = np.isin(material.treatment, material.treatment[(material.wells[USE] != "").to_numpy()])
        means = np.zeros((int(place.max()) + 1, len(self.facts.features)), np.float32)
        for number in range(len(means)):
            rows = np.flatnonzero((place == number) & learned)
            if len(rows):
                means[number] = self.unexplained(rows).mean(0)
        return means

    def pictures(self, rows: NDArray[np.int64], shared: Floats, *, guidance: float | None = None,
                 specific: Floats | None = None, features: Floats | None = None) -> Floats:
        """The wells' own cells under other shared parts: pictures (N, C, px, px), scaled pixels; see `pictures.edited`.

        Args:
            rows: (N,) wells.
            shared: (N, D) of the wanted treatments.
            guidance: see ImageDecoderConfig; the chosen one by default.
            specific: (N, E) in place of the wells' own, on the way forwards.
            features: (N, F) predicted for the pictures, which are brought to show them; None shows the flow alone.

        Raises:
            BundleError: the decoder makes no pictures.
        """
        own = self.specific(rows)
        parts = [self.own_pictures(rows), self.source_code(rows), own, shared, own if specific is None else specific]
        assert self.velocity is not None
        drawn = edited(self.velocity, parts, self.facts.guidance if guidance is None else guidance,
                       self.config.image.ode_steps)
        return drawn if features is None else shown(drawn, features, self.profile.spread.numpy())

    def own_pictures(self, rows: NDArray[np.int64]) -> Floats:
        """The wells as they are, (N, C, px, px) scaled pixels.

        Raises:
            BundleError: the decoder holds no pictures.
        """
        if self.velocity is None or self.material.pictures is None:
            raise BundleError(f"{self.folder} makes no pictures: its model reads profiles")
        return as_floats(self.material.pictures[rows])

    def learned(self, dose_um: float | None) -> tuple[NDArray[np.int64], Floats]:
        """Rows of the library at the doses nearest to one, and their shared vectors."""
        table = self.library
        doses = table[DOSE_UM].to_numpy(float) if DOSE_UM in table else np.full(len(table), np.nan)
        rows = at_dose(doses, table[MOLECULE_ID].to_numpy(str), dose_um)
        return rows, self.material.treatments[table[TREATMENT].to_numpy(np.int64)[rows]]


@torch.inference_mode()
def mixture(decoder: ProfileDecoder, codes: Floats, specific: Floats, share: Tensor) -> tuple[Tensor, Tensor]:
    """Standardised mean and variance (K, F) of treatments decoded with one specific part.

    Args:
        decoder: to features, in evaluation mode.
        codes: (T, D) shared parts of the treatments.
        specific: (E,) of the well.
        share: (K, T) weights, rows summing to 1.
    """
    shared = torch.from_numpy(np.ascontiguousarray(codes))
    own = torch.from_numpy(np.ascontiguousarray(specific)).expand(len(codes), -1)
    means, log_spreads = decoder(shared, own)
    mean = share @ means
    return mean, (share @ ((2 * log_spreads).exp() + means.square()) - mean.square()).clamp_min(1e-6)
