"""A Decoder on disk: what `decode` adds to a bundle, and how it is asked. No pickle anywhere."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dssl_bio.artefact import read_record, verify, write_json
from dssl_bio.config import checked
from dssl_bio.errors import BundleError
from dssl_bio.imaging.tones import quantile_names, with_quantiles
from dssl_bio.learning.decoders.config import DecoderConfig
from dssl_bio.learning.decoders.flow import Velocity, as_pixels, centred, followed
from dssl_bio.learning.decoders.material import CONTROL, TREATMENT, USE, Material, as_floats
from dssl_bio.learning.decoders.prior import at_dose, expected, kept_share, weights
from dssl_bio.learning.decoders.profile import ProfileDecoder
from dssl_bio.learning.representation import SharedSpecific, unit_rows
from dssl_bio.vocabulary import DOSE_UM, MOLECULE_ID, PERT_TYPE, PLATE, RUN

FOLDER = "decoder"
CONFIG, FACTS, PROFILE, IMAGE = "config.json", "facts.json", "profile.safetensors", "image.safetensors"
WELLS, CODES, FEATURES, PICTURES = "wells.parquet", "codes.safetensors", "features.npy", "pictures.npy"
CHUNK = 32

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class DecoderFacts:
    """What decides the networks' shapes, and what held-out molecules decided.

    Attributes:
        shared_dim: of the run.
        specific_dim: of the run; 0 where the decoder reads the shared part alone.
        features: names.
        channels: of the pictures; empty without.
        pixel_size_um: of the pictures' pixels; 0 without.
        temperature: of the weights that lead from a molecule to its expected phenotype.
        calibration: what temperature and intervals were chosen by, in words.
        image_steps: minibatches that the decoder to pictures saw.
        guidance: of the pictures.
    """

    shared_dim: int
    specific_dim: int
    features: tuple[str, ...]
    channels: tuple[str, ...]
    pixel_size_um: float
    temperature: float
    calibration: str
    image_steps: int
    guidance: float = 1.0


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
        try:
            config = checked(json.loads((folder / CONFIG).read_text()), DecoderConfig, str(folder / CONFIG),
                             BundleError)
            values = json.loads((folder / FACTS).read_text())
            facts = DecoderFacts(**{**values, "features": tuple(values["features"]),
                                    "channels": tuple(values["channels"])})
            profile = profile_decoder(config, facts)
            profile.load_state_dict(load_file(folder / PROFILE))
            velocity = None
            if (folder / IMAGE).is_file():
                velocity = image_decoder(config, facts)
                velocity.load_state_dict(load_file(folder / IMAGE))
                velocity.eval()
            material = _read_material(folder, facts)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as cause:
            raise BundleError(f"the decoder in {folder} cannot be read: {cause}") from cause
        return cls(folder, record, config, facts, profile.eval(), velocity, material)

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

    def unexplained(self, rows: NDArray[np.int64], target: Floats | None = None) -> Floats:
        """(N, F) what the decoder does not explain of wells, or what of it is kept under other shared parts (N, D).

        What all wells of the plate (or run) have in common is kept whole, of the rest what `kept_share` says.
        """
        left = np.asarray(self.material.features[rows]) - self.features(self.source_code(rows), self.specific(rows))[0]
        if target is None:
            return left
        of_place = self._of_places[0][self._of_places[1][rows]]
        return of_place + kept_share(self.source_code(rows), target) * (left - of_place)

    @cached_property
    def _of_places(self) -> tuple[Floats, NDArray[np.int64]]:
        """Mean of what is unexplained of each plate's (or run's) wells with a learned treatment; each well's plate."""
        material = self.material
        wells = material.wells
        column = next((name for name in (PLATE, RUN) if name in wells and wells[name].notna().all()), None)
        place = pd.factorize(wells[column])[0] if column else np.zeros(len(wells), np.int64)
        learned = np.isin(material.treatment, material.treatment[(wells[USE] != "").to_numpy()])
        means = np.zeros((int(place.max()) + 1, len(self.facts.features)), np.float32)
        for number in range(len(means)):
            rows = np.flatnonzero((place == number) & learned)
            if len(rows):
                means[number] = self.unexplained(rows).mean(0)
        return means, place

    def pictures(self, rows: NDArray[np.int64], shared: Floats, *, guidance: float | None = None,
                 specific: Floats | None = None, features: Floats | None = None) -> Floats:
        """The wells' own cells under other shared parts: pictures (N, C, px, px), scaled pixels.

        The noise that stands for a well's cells is found backwards under what the well got; forwards from there under
        the same, what the equation's finite steps lose is measured and given back.

        Args:
            rows: (N,) wells.
            shared: (N, D) of the wanted treatments.
            guidance: see ImageDecoderConfig; the chosen one by default.
            specific: (N, E) in place of the wells' own, on the way forwards.
            features: (N, F) predicted for the pictures; their quantiles give each channel's tones, which the flow
                renders less surely than shapes.

        Raises:
            BundleError: the decoder makes no pictures.
        """
        pictures = self.own_pictures(rows)
        weight = self.facts.guidance if guidance is None else guidance
        own, given = self.specific(rows), self.specific(rows) if specific is None else specific
        source, drawn = self.source_code(rows), []
        for start in range(0, len(rows), CHUNK):
            parts = [torch.from_numpy(np.array(part[start:start + CHUNK]))
                     for part in (pictures, source, own, shared, given)]
            drawn.append(self._edited(parts, weight))
        result = np.concatenate(drawn)
        if features is None:
            return result
        place = {name: number for number, name in enumerate(self.facts.features)}
        at = np.array([[place[name] for name in names] for names in quantile_names(self.facts.channels)])
        return np.stack([with_quantiles(picture, one[at]) for picture, one in zip(result, features, strict=True)])

    def own_pictures(self, rows: NDArray[np.int64]) -> Floats:
        """The wells as they are, (N, C, px, px) scaled pixels.

        Raises:
            BundleError: the decoder holds no pictures.
        """
        if self.velocity is None or self.material.pictures is None:
            raise BundleError(f"{self.folder} makes no pictures: its model reads profiles")
        return as_floats(self.material.pictures[rows])

    def _edited(self, parts: list[Tensor], guidance: float) -> Floats:
        """Pictures under other codes, from pictures, their own shared and specific codes, and the wanted ones."""
        assert self.velocity is not None
        pictures, source, own, shared, given = parts
        n_steps, x = self.config.image.ode_steps, centred(pictures)
        one_well = len(x) > 1 and bool((x == x[:1]).all() and (source == source[:1]).all())
        n = 1 if one_well else len(x)  # a series over one well takes it apart once
        noise = followed(self.velocity, x[:n], source[:n], own[:n], start=1.0, stop=0.0, steps=n_steps)
        again = followed(self.velocity, noise, source[:n], own[:n], start=0.0, stop=1.0, steps=n_steps)
        noise = noise.expand_as(x)
        changed = followed(self.velocity, noise, shared, given, start=0.0, stop=1.0, steps=n_steps, guidance=guidance)
        return as_pixels(changed + x - again).numpy()

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


def profile_decoder(config: DecoderConfig, facts: DecoderFacts) -> ProfileDecoder:
    """An untrained decoder to features."""
    return ProfileDecoder(len(facts.features), facts.shared_dim, facts.specific_dim, config.profile.hidden,
                          config.profile.dropout)


def image_decoder(config: DecoderConfig, facts: DecoderFacts) -> Velocity:
    """An untrained decoder to pictures."""
    return Velocity(len(facts.channels), facts.shared_dim, facts.specific_dim, config.image.width)


def write_decoder(folder: Path, config: DecoderConfig, facts: DecoderFacts, profile: ProfileDecoder,
                  velocity: Velocity | None, material: Material) -> None:
    """All files of a decoder but its record."""
    write_json(folder / CONFIG, config.model_dump(mode="json"))
    write_json(folder / FACTS, vars(facts))
    save_file({name: value.contiguous() for name, value in profile.state_dict().items()}, folder / PROFILE)
    if velocity is not None:
        save_file({name: value.contiguous() for name, value in velocity.state_dict().items()}, folder / IMAGE)
    material.wells.to_parquet(folder / WELLS)
    save_file({"shared": torch.from_numpy(material.codes.shared), "specific": torch.from_numpy(material.codes.specific),
               "treatments": torch.from_numpy(unit_rows(material.treatments))}, folder / CODES)
    np.save(folder / FEATURES, material.features, allow_pickle=False)
    if material.pictures is not None and velocity is not None:
        np.save(folder / PICTURES, material.pictures, allow_pickle=False)


def _read_material(folder: Path, facts: DecoderFacts) -> Material:
    codes = {name: value.numpy() for name, value in load_file(folder / CODES).items()}
    pictures = None
    if (folder / PICTURES).is_file():
        pictures = np.load(folder / PICTURES, mmap_mode="r", allow_pickle=False)
    return Material(pd.read_parquet(folder / WELLS), SharedSpecific(codes["shared"], codes["specific"]),
                    codes["treatments"], np.load(folder / FEATURES, mmap_mode="r", allow_pickle=False), facts.features,
                    pictures)
