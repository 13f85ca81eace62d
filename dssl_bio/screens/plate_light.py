"""The light of one plate: estimated from a sample of its sites, or read from given files."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dssl_bio.errors import ImageError
from dssl_bio.imaging import illumination
from dssl_bio.imaging.illumination import Illumination
from dssl_bio.imaging.intensity import usual_sites
from dssl_bio.screens.image_source import inside
from dssl_bio.screens.plate_work import Pixels, PlateImages, Warnings, in_order
from dssl_bio.screens.sources.load_data import place_of
from dssl_bio.vocabulary import PLATE

SAMPLE_PIXELS, SAMPLE_MIN, SAMPLE_MOST = 100_000_000, 48, 512
"""Illumination is estimated from so many pixels of each channel, and from so many sites at least and at most."""
KEPT_BYTES = 300_000_000
"""Sites of the sample are held until they are stored, as far as they take no more than this."""
GLARING_SAMPLE = 3.0
"""Sites so much brighter than usual say nothing about the light: more than for controls, which have no phenotypes."""


def light_of(work: PlateImages, rows: list[dict[Hashable, Any]], kept: dict[int, Pixels],
                  warnings: Warnings) -> Illumination:
    """The plate's light; sites that were read on the way are left in `kept`.

    Raises:
        ImageError: a given function cannot be used.
    """
    channels, method = work.source.order, work.source.illumination.method
    if method == "given":
        return illumination.given(illumination_files(work), channels, work.shape)
    if method == "none" or len(rows) < illumination.MIN_SITES:
        if method == "estimate":
            warnings.add(None, f"illumination is not corrected: {len(rows)} sites, at least {illumination.MIN_SITES} "
                               "are needed to estimate it")
        return illumination.none(len(channels))
    n_pixels = work.shape[0] * work.shape[1]
    n = int(np.clip(SAMPLE_PIXELS // n_pixels, SAMPLE_MIN, SAMPLE_MOST))
    numbers = np.unique(np.linspace(0, len(rows) - 1, min(n, len(rows))).round().astype(int))
    room = KEPT_BYTES // (2 * n_pixels * len(channels))
    samples = []
    for place, outcome in in_order([rows[number] for number in numbers], lambda _, row: work.read(row), work.readers):
        if not isinstance(outcome, ImageError):
            samples.append(illumination.sample_of(outcome).copy())
            if len(kept) < room:
                kept[int(numbers[place])] = outcome
    pixels = np.stack(samples) if samples else np.empty((0, len(channels), 1, 1), np.uint16)
    found = illumination.estimated(pixels[usual_sites(pixels, GLARING_SAMPLE)]) if samples else None
    if found is None:
        warnings.add(None, f"illumination is not corrected: {len(samples)} sites of {work.shape[0]} x {work.shape[1]} "
                           "pixels that can be read are too few or too small to estimate it")
        return illumination.none(len(channels))
    return found


def illumination_files(work: PlateImages) -> list[Path]:
    """The `.npy` file of each channel; all rows of a plate must name the same."""
    source, files = work.source, work.source.illumination.files
    if files is not None:
        names = [files.replace("{plate}", work.plate).replace("{channel}", channel) for channel in source.order]
        try:
            return [work.root / inside(name) for name in names]
        except ValueError as problem:  # a plate's name comes from a table
            raise ImageError(f"illumination of plate {work.plate}: {problem}") from problem
    found = []
    for channel in source.order:
        column = source.illumination.columns[channel]
        places = {place_of(row, column, source, work.base(row), f"illumination of channel {channel}")
                  for row in work.records()}
        if len(places) != 1 or not isinstance(place := places.pop(), Path):
            raise ImageError(f"plate {work.plate}: column {column} names several illumination files, or one behind an "
                             "address; expected one file for the plate")
        found.append(place)
    return found


def described(work: PlateImages, light: Illumination) -> pd.DataFrame:
    """What was found of the plate's light, a row a channel."""
    return pd.DataFrame({PLATE: work.plate, "channel": list(work.source.order), "illumination": light.method,
                         "sites_for_illumination": light.n_sites, "dark": light.dark, "unevenness": light.unevenness,
                         "unevenness_uncertainty": light.uncertainty})
