"""What a decoder is on disk: safetensors, JSON, Parquet and NumPy arrays. No pickle anywhere."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from dssl_bio.artefact import write_json
from dssl_bio.config import checked
from dssl_bio.errors import BundleError
from dssl_bio.learning.decoders.config import DecoderConfig
from dssl_bio.learning.decoders.flow import Velocity
from dssl_bio.learning.decoders.material import Material
from dssl_bio.learning.decoders.profile import ProfileDecoder
from dssl_bio.learning.representation import SharedSpecific, unit_rows

FOLDER = "decoder"
CONFIG, FACTS, PROFILE, IMAGE = "config.json", "facts.json", "profile.safetensors", "image.safetensors"
WELLS, CODES, FEATURES, PICTURES = "wells.parquet", "codes.safetensors", "features.npy", "pictures.npy"


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
class Parts:
    """What a decoder's folder holds; see `decoder.Decoder`."""

    config: DecoderConfig
    facts: DecoderFacts
    profile: ProfileDecoder
    velocity: Velocity | None
    material: Material


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


def read_decoder(folder: Path) -> Parts:
    """The reverse of `write_decoder`; networks are in evaluation mode.

    Raises:
        BundleError: a file is missing or does not fit the others.
    """
    try:
        config = checked(json.loads((folder / CONFIG).read_text()), DecoderConfig, str(folder / CONFIG), BundleError)
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
        return Parts(config, facts, profile.eval(), velocity, _read_material(folder, facts))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as cause:
        raise BundleError(f"the decoder in {folder} cannot be read: {cause}") from cause


def _read_material(folder: Path, facts: DecoderFacts) -> Material:
    codes = {name: value.numpy() for name, value in load_file(folder / CODES).items()}
    pictures = None
    if (folder / PICTURES).is_file():
        pictures = np.load(folder / PICTURES, mmap_mode="r", allow_pickle=False)
    return Material(pd.read_parquet(folder / WELLS), SharedSpecific(codes["shared"], codes["specific"]),
                    codes["treatments"], np.load(folder / FEATURES, mmap_mode="r", allow_pickle=False), facts.features,
                    pictures)
