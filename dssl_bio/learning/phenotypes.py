"""Phenotypes of a screen as the encoders read them: profiles, or tiles of sites; one class each, one interface."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from dssl_bio.errors import RunError
from dssl_bio.imaging.crops import SAME_ZOOM, crop_of, even_squares, resampled, tiles_of
from dssl_bio.imaging.intensity import scaled
from dssl_bio.learning.config import ImageConfig
from dssl_bio.learning.views import profile_view, tile_view
from dssl_bio.screens.entries import ALL_FLAGGED
from dssl_bio.screens.masks import MaskLayer, open_layer
from dssl_bio.screens.nuclei import Nuclei, nuclei_of
from dssl_bio.screens.screen import Images, Profiles, Screen
from dssl_bio.screens.site_store import SiteArray, SiteStore, window_of

Rows = NDArray[np.int64]
IN_MEMORY_BYTES = 2_000_000_000
CHUNK = 128
"""Inputs that are embedded at once."""


class Phenotypes(Protocol):
    """What training and indexing ask of a modality."""

    rows: Rows
    trainable: Rows
    """Wells with something that may be learnt from; for images, a site that quality control did not flag."""

    def sample(self, rows: Rows, generator: np.random.Generator) -> Tensor:
        """One input per well (N, ...), with the sampling that training wants (a random tile)."""

    def view(self, inputs: Tensor) -> Tensor:
        """An augmented copy of inputs."""

    def chunks(self, rows: Rows, membership: NDArray[np.int64]) -> Iterator[tuple[Tensor, NDArray[np.int64]]]:
        """All there is of some wells, in pieces: inputs (N, ...), and the number of the entry each belongs to."""


class ProfilePhenotypes:
    """Profiles of one modality; an entry's input is the mean of its wells' normalised profiles."""

    def __init__(self, profiles: Profiles, features: list[str] | None = None):
        """Opens profiles, with the features of a trained model when they are given.

        Raises:
            RunError: the screen lacks features that the model was trained on.
        """
        self.rows = self.trainable = np.asarray(profiles.rows, dtype=np.int64)
        columns = list(range(len(profiles.features)))
        if features is not None and features != profiles.features:
            place = {name: i for i, name in enumerate(profiles.features)}
            missing = [name for name in features if name not in place]
            if missing:
                raise RunError(f"the model reads {len(features)} features, of which this screen lacks {len(missing)}: "
                               f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}")
            columns = [place[name] for name in features]
        self.features = [profiles.features[i] for i in columns]
        self._values, self._columns = profiles.values, columns
        self._place = {int(row): i for i, row in enumerate(self.rows)}
        self.spread = torch.ones(len(columns))

    def read(self, rows: Rows) -> Tensor:
        """Profiles (N, F) of some wells."""
        places = [self._place[int(row)] for row in rows]
        return torch.from_numpy(np.asarray(self._values[places], dtype=np.float32)[:, self._columns])

    def sample(self, rows: Rows, generator: np.random.Generator) -> Tensor:
        """Profiles (N, F) of some wells."""
        return self.read(rows)

    def mixture(self, members: Sequence[Rows], concentration: float, generator: np.random.Generator) -> Tensor:
        """A random mixture of each group's wells, (N, F): weights of a symmetric Dirichlet distribution.

        As InfoCORE augments profiles (Wang et al. 2024, ICLR; 0.8 for Cell Painting, 0.5 for expression).

        Args:
            members: wells of each of N groups.
            concentration: towards 0 single wells, towards infinity their mean.
            generator: draws the weights.
        """
        sizes = np.array([len(rows) for rows in members])
        owner = np.repeat(np.arange(len(members)), sizes)
        drawn = np.maximum(generator.gamma(concentration, size=len(owner)), 1e-12)
        weight = torch.from_numpy((drawn / np.bincount(owner, drawn)[owner]).astype(np.float32))
        profiles = self.read(np.concatenate(members)) * weight[:, None]
        return torch.zeros(len(members), profiles.shape[1]).index_add_(0, torch.from_numpy(owner), profiles)

    def view(self, inputs: Tensor) -> Tensor:
        """Profiles with noise and dropped features."""
        return profile_view(inputs, self.spread)

    def chunks(self, rows: Rows, membership: NDArray[np.int64]) -> Iterator[tuple[Tensor, NDArray[np.int64]]]:
        """The mean profile of each entry."""
        for start in range(0, int(membership.max(initial=-1)) + 1, 1024):
            numbers = np.arange(start, min(start + 1024, membership.max() + 1))
            chosen = (membership >= start) & (membership <= numbers[-1])
            sums = torch.zeros(len(numbers), len(self._columns))
            index = torch.from_numpy(membership[chosen] - start)
            sums.index_add_(0, index, self.read(rows[chosen]))
            counts = torch.bincount(index, minlength=len(numbers))
            present = counts > 0
            yield sums[present] / counts[present, None], numbers[present.numpy()]


class ImagePhenotypes:
    """Sites cut into tiles of one pixel size, scaled by their plate's limits as training and serving both do."""

    def __init__(self, images: Images, tile_px: int, pixel_size_um: float, *, flagged: bool = True,
                 masks: MaskLayer | None = None, nuclei_per_well: int = 0, seed: int = 0):
        """Opens sites for a model that reads tiles of `tile_px` pixels of `pixel_size_um` micrometres.

        Without `flagged`, sites that quality control marked are left out wherever a well has others. Wells that have
        no others are not `trainable`; who reads them all the same reads what there is.

        With `masks`, tiles are cut around nuclei, of each well at most `nuclei_per_well` (0 for all) that `seed`
        chooses. A well without any is read in tiles of the same size that cover its sites: that no cell is left is a
        phenotype.

        Raises:
            RunError: a site that counts has no masks.
        """
        self.images, self.tile_px, self.pixel_size_um = images, tile_px, pixel_size_um
        self.zoom = images.pixel_size_um / pixel_size_um
        owners = images.table["row"].to_numpy()
        self.rows = np.unique(owners).astype(np.int64)
        order = np.argsort(owners, kind="stable")
        starts = np.searchsorted(owners[order], self.rows)
        self._sites = dict(zip(self.rows.tolist(), np.split(order, starts[1:]), strict=True))
        left_out = np.zeros(len(owners), dtype=bool) if flagged else images.flagged
        self.n_left_out = int(left_out.sum())
        self._sampled = {row: kept for row, sites in self._sites.items() if len(kept := sites[~left_out[sites]])}
        self.trainable = np.array(sorted(self._sampled), dtype=np.int64)
        self._cache: NDArray[np.uint16] | None = None
        mapped = isinstance(images.sites, SiteStore) and images.sites.mapped  # the system's cache serves all processes
        if not mapped and int(np.prod(images.sites.shape)) * 2 <= IN_MEMORY_BYTES:
            self._cache = np.asarray(images.sites[:])
        self.nuclei: Nuclei | None = None
        if masks is not None:
            self.nuclei = self._nuclei(masks, nuclei_per_well, seed)

    def _nuclei(self, masks: MaskLayer, most: int, seed: int) -> Nuclei:
        counting = np.concatenate([self.sites_of(int(row)) for row in self.rows])
        if missing := len(np.setdiff1d(counting, masks.sites)):
            raise RunError(f"tiles are cut around nuclei, and masks {masks.name} have none of {missing:,} of "
                           f"{len(counting):,} sites; segment the other plates too")
        return nuclei_of(self.images, masks, self.rows.tolist(), self.sites_of, most, seed)

    def tiles_words(self) -> str:
        """Around what tiles are cut; empty where that is anywhere."""
        if self.nuclei is None:
            return ""
        without = len(self.rows) - len(self.nuclei.of_well)
        return (f"tiles of {self.tile_px} px ({self.tile_px * self.pixel_size_um:.0f} um) around {self.nuclei.source}"
                + (f"; {without} wells have none and are read whole" if without else ""))

    def sites_of(self, row: int) -> NDArray[np.int64]:
        """Numbers of the sites of a well that count."""
        return self._sampled[row] if row in self._sampled else self._sites[row]

    def read(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scaled sites (N, C, H, W) at the model's pixel size."""
        result = scaled(self._raw(numbers), self.images.limits(numbers), self.images.clipping.ceiling)
        return resampled(result, self.zoom, self.tile_px)

    def sample(self, rows: Rows, generator: np.random.Generator) -> Tensor:
        """One tile (N, C, tile_px, tile_px) of each well: around a random nucleus, or anywhere in a random site."""
        if self.nuclei is None:
            return torch.from_numpy(self._anywhere(rows, generator))
        of_well = [self.nuclei.of_well.get(int(row)) for row in rows]
        has = np.array([found is not None for found in of_well])
        chosen = np.array([generator.choice(found) for found in of_well if found is not None], dtype=np.int64)
        tiles = np.empty((len(rows), len(self.images.channels), self.tile_px, self.tile_px), np.float32)
        tiles[has] = self.around(chosen)
        if not has.all():
            tiles[~has] = self._anywhere(rows[~has], generator)
        return torch.from_numpy(tiles)

    def around(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Scaled tiles (N, C, tile_px, tile_px) around nuclei by their numbers in `nuclei`."""
        assert self.nuclei is not None
        if not len(numbers):
            return np.zeros((0, len(self.images.channels), self.tile_px, self.tile_px), np.float32)
        windows, done = self.nuclei.windows(self._source, numbers, self.tile_px, self.zoom)
        found = scaled(windows, self.images.limits(self.nuclei.site[numbers]), self.images.clipping.ceiling)
        return found if done else np.stack([crop_of(window, self.zoom, self.tile_px) for window in found])

    def _anywhere(self, rows: Rows, generator: np.random.Generator) -> NDArray[np.float32]:
        """One random tile of a random site of each well."""
        numbers = np.array([generator.choice(self._sampled[int(row)]) for row in rows])
        # Scaling is pixel by pixel: where nothing is resampled, only the tile need be read and scaled.
        as_stored = abs(self.zoom - 1) < SAME_ZOOM and min(self.images.sites.shape[2:]) >= self.tile_px
        sites = None if as_stored else self.read(numbers)
        size, shape = self.tile_px, self.images.sites.shape if sites is None else sites.shape
        top = generator.integers(0, shape[2] - size + 1, len(rows))
        left = generator.integers(0, shape[3] - size + 1, len(rows))
        if sites is not None:
            return np.stack([site[:, y:y + size, x:x + size] for site, y, x in zip(sites, top, left, strict=True)])
        tiles = np.stack([window_of(self._source, int(number), y, x, size)
                          for number, y, x in zip(numbers, top, left, strict=True)])
        return scaled(tiles, self.images.limits(numbers), self.images.clipping.ceiling)

    @property
    def _source(self) -> SiteArray:
        return self.images.sites if self._cache is None else self._cache

    def _raw(self, numbers: NDArray[np.int64]) -> NDArray[np.uint16]:
        return self._cache[numbers] if self._cache is not None else self.images.read(numbers)

    def view(self, inputs: Tensor) -> Tensor:
        """Tiles turned, mirrored, and with other gains."""
        return tile_view(inputs)

    def chunks(self, rows: Rows, membership: NDArray[np.int64]) -> Iterator[tuple[Tensor, NDArray[np.int64]]]:
        """Every site that counts in tiles that cover it, or the tiles around a well's chosen nuclei."""
        for row, entry in zip(rows, membership, strict=True):
            if entry < 0:
                continue
            if self.nuclei is None:
                tiles = tiles_of(self.read(self.sites_of(int(row))), self.tile_px)
            elif (found := self.nuclei.of_well.get(int(row))) is not None:
                tiles = self.around(found)
            else:
                tiles = even_squares(self.read(self.sites_of(int(row))), self.tile_px)
            yield torch.from_numpy(tiles), np.full(len(tiles), entry)


def batches(phenotypes: Phenotypes, rows: Rows,
            membership: NDArray[np.int64]) -> Iterator[tuple[Tensor, NDArray[np.int64]]]:
    """What `Phenotypes.chunks` gives, in pieces of at most `CHUNK` inputs, nearly all of them of that size."""
    waiting: list[tuple[Tensor, NDArray[np.int64]]] = []

    def joined() -> Iterator[tuple[Tensor, NDArray[np.int64]]]:
        inputs = torch.cat([piece for piece, _ in waiting])
        numbers = np.concatenate([owner for _, owner in waiting])
        waiting.clear()
        for start in range(0, len(inputs), CHUNK):
            yield inputs[start:start + CHUNK], numbers[start:start + CHUNK]

    for chunk in phenotypes.chunks(rows, membership):
        waiting.append(chunk)
        if sum(len(piece) for piece, _ in waiting) >= CHUNK:
            yield from joined()
    if waiting:
        yield from joined()


def mean_by_entry(phenotypes: Phenotypes, rows: Rows, membership: NDArray[np.int64],
                  encode: Callable[[Tensor], Tensor]) -> Tensor:
    """Mean of what `encode` makes of each entry's inputs, (E, D) float64 without gradient; every entry has inputs.

    Args:
        phenotypes: whose inputs are read.
        rows: R wells, one at least.
        membership: (R,) number of each one's entry.
        encode: (N, ...) to (N, D), on any device.
    """
    sums: Tensor | None = None
    counts = torch.zeros(int(membership.max()) + 1, dtype=torch.float64)
    with torch.no_grad():
        for inputs, numbers in batches(phenotypes, rows, membership):
            codes, owner = encode(inputs).cpu().double(), torch.from_numpy(numbers)
            sums = torch.zeros(len(counts), codes.shape[1], dtype=torch.float64) if sums is None else sums
            sums.index_add_(0, owner, codes)
            counts.index_add_(0, owner, torch.ones(len(owner), dtype=torch.float64))
    assert sums is not None
    return sums / counts[:, None]


def flagged_words(phenotypes: Phenotypes, rows: Rows, membership: NDArray[np.int64], entries: pd.DataFrame) -> str:
    """What quality control keeps out of entries, in words; empty for nothing.

    Args:
        phenotypes: that the entries were made of.
        rows: wells.
        membership: (len(rows),) number of each well's entry, -1 for none.
        entries: from `screens.entries`.
    """
    if not isinstance(phenotypes, ImagePhenotypes) or not phenotypes.n_left_out:
        return ""
    kept = rows[(membership >= 0) & ~np.isin(rows, phenotypes.trainable)]
    n_read = sum(len(phenotypes.sites_of(int(row))) for row in kept)
    n_wells = len(phenotypes.rows) - len(phenotypes.trainable) - len(kept)
    n_marked = int(entries[ALL_FLAGGED].sum())
    return (f"{phenotypes.n_left_out - n_read} of {len(phenotypes.images.table)} sites are flagged by quality control "
            f"and left out, {n_wells} wells with them"
            + (f"; {n_marked} entries have no other sites, are kept and marked {ALL_FLAGGED}" if n_marked else "")
            + " (image.flagged_sites = true reads all)")


def phenotypes_of(screen: Screen, modality: str, *, features: list[str] | None = None, image: ImageConfig | None = None,
                  pixel_size_um: float | None = None, seed: int = 0) -> ProfilePhenotypes | ImagePhenotypes:
    """The named modality of a screen, as a model reads it.

    Args:
        screen: the data.
        modality: `images` or the name of a feature block.
        features: of a trained model.
        image: which tiles are cut, and of which sites.
        pixel_size_um: of the tiles; `image`'s, or the screen's own, when absent.
        seed: of the choice of nuclei.

    Raises:
        RunError: the screen has no such modality; those it has are listed.
        ScreenError: tiles are to be cut around nuclei, and the screen has no such masks.
    """
    if modality == "images" and screen.images is not None:
        image = image or ImageConfig()
        size = pixel_size_um or image.pixel_size_um or screen.images.pixel_size_um
        masks = open_layer(screen, image.masks) if image.tiles == "nuclei" else None
        return ImagePhenotypes(screen.images, image.tile_px, size, flagged=image.flagged_sites, masks=masks,
                               nuclei_per_well=image.nuclei_per_well, seed=seed)
    if modality in screen.profiles:
        return ProfilePhenotypes(screen.profiles[modality], features)
    raise RunError(f"screen {screen.name} has no modality {modality!r}; it has {', '.join(modalities(screen))}")


def modalities(screen: Screen) -> list[str]:
    """Names of a screen's modalities, images first."""
    return [*(["images"] if screen.images is not None else []), *screen.profiles]
