"""Bundles with a small decoder, made once: profiles with two doses, and pictures."""

import shutil
from pathlib import Path

import pytest

from dssl_bio.learning.decoders.config import DecoderConfig
from dssl_bio.learning.decoders.fit import add_decoder
from dssl_bio.learning.run import Run
from dssl_bio.screens.screen import Screen

CONFIG = DecoderConfig.model_validate({
    "profile": {"steps": 60, "hidden": 16, "batch_size": 16},
    "image": {"px": 16, "shrink": 2, "width": 8, "steps": 4, "batch_size": 4, "ode_steps": 3}})


def with_decoder(bundle: Path, screen: Path, folder: Path) -> Path:
    """A copy of a bundle that has a decoder."""
    copy = folder / "bundle"
    shutil.copytree(bundle, copy)
    add_decoder(Run.open(copy / "run"), Screen.open(screen), copy, CONFIG, report=lambda line: None)
    return copy


@pytest.fixture(scope="session")
def decoded_profiles(small_road: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of amides at two doses."""
    return with_decoder(small_road / "bundle", small_road / "screen", tmp_path_factory.mktemp("decoded"))


@pytest.fixture(scope="session")
def decoded_images(image_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of noise."""
    return with_decoder(image_bundle, image_bundle.parent / "screen", tmp_path_factory.mktemp("decoded_images"))
