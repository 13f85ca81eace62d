"""Stored sites: a file of pixels for each plate, seen as one array (S, C, H, W) that is read where it is asked for."""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec

from dssl_bio.artefact import checksums
from dssl_bio.errors import ScreenError

Pixels = NDArray[np.uint16]
StoreFormat = Literal["memory_map", "zarr"]

MAPPED, CHUNKED, STORE = "sites.u16", "sites.zarr", "store.json"
INNER_PX = 216
"""Side of a part of a compressed site that can be read alone."""


class SiteArray(Protocol):
    """What is asked of stored sites; a Zarr array of earlier screens gives it, too."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(S, C, H, W)."""

    def __getitem__(self, key: Any) -> Any: ...


class SiteWriter:
    """Writes the sites of one plate, one after the other; use it in a `with` statement."""

    def __init__(self, folder: Path, n_most: int, shape: tuple[int, int, int], kind: StoreFormat):
        """Begins a store of at most `n_most` sites (C, H, W)."""
        self.folder, self.shape, self.kind, self.n = folder, shape, kind, 0
        self._digest = hashlib.sha256()
        if kind == "memory_map":
            self._file = (folder / MAPPED).open("wb")
        else:
            parts = [max(1, round(length / INNER_PX)) for length in shape[1:]]
            inner = [math.ceil(length / n) for length, n in zip(shape[1:], parts, strict=True)]
            self._array = zarr.create_array(
                store=folder / CHUNKED, shape=(n_most, *shape), dtype="uint16", chunks=(1, shape[0], *inner),
                shards=(1, shape[0], *(length * n for length, n in zip(inner, parts, strict=True))),
                compressors=BloscCodec(cname="zstd", clevel=1, shuffle="bitshuffle"))

    def __enter__(self) -> "SiteWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if self.kind == "memory_map":
            self._file.close()

    def append(self, site: Pixels) -> None:
        """One more site."""
        if self.kind == "memory_map":
            content = np.ascontiguousarray(site, "<u2").data.cast("B")
            self._file.write(content)
            self._digest.update(content)
        else:
            self._array[self.n] = site
        self.n += 1

    def finish(self) -> dict[str, str]:
        """Ends the store; gives the checksums of its files by their names in the plate's folder."""
        (self.folder / STORE).write_text(json.dumps({"kind": self.kind, "shape": [self.n, *self.shape]}) + "\n")
        if self.kind == "memory_map":
            self._file.close()
            return {MAPPED: self._digest.hexdigest()}
        self._array.resize((self.n, *self.shape))
        return {f"{CHUNKED}/{name}": value for name, value in checksums(self.folder / CHUNKED).items()}


@dataclass(frozen=True)
class SiteStore:
    """The sites of several plates as one array (S, C, H, W) of uint16.

    Attributes:
        parts: arrays (n, C, H, W) of the plates.
        starts: (P + 1,) number of the first site of each part, and of all sites.
    """

    parts: Sequence[Any]
    starts: NDArray[np.int64]

    @classmethod
    def open(cls, folders: Sequence[Path]) -> "SiteStore":
        """Opens the stores of plates, in their order.

        Raises:
            ScreenError: a store is damaged.
        """
        parts = [part for folder in folders if len(part := _opened(folder))]
        return cls(parts, np.cumsum([0, *(len(part) for part in parts)]))

    @property
    def shape(self) -> tuple[int, ...]:
        """(S, C, H, W)."""
        return int(self.starts[-1]), *self.parts[0].shape[1:]

    @property
    def dtype(self) -> np.dtype:
        """uint16."""
        return np.dtype("uint16")

    @property
    def mapped(self) -> bool:
        """Whether all parts are memory maps: a window costs what its own pixels cost, and processes share them."""
        return all(isinstance(part, np.memmap) for part in self.parts)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, key: Any) -> Pixels:
        """A site (C, H, W) by its number; several (N, C, H, W) by a slice or an array of numbers."""
        if isinstance(key, int | np.integer):
            part, place = self._place(int(key))
            return np.asarray(self.parts[part][place])
        numbers = np.arange(len(self))[key]
        return np.stack([self[int(number)] for number in numbers]) if len(numbers) else np.empty((0, *self.shape[1:]),
                                                                                               np.uint16)

    def window(self, number: int, top: int, left: int, size: int) -> Pixels:
        """A square (C, size, size) of one site; what lies around it is not read where the store allows."""
        part, place = self._place(number)
        return np.asarray(self.parts[part][place, :, top:top + size, left:left + size])

    def _place(self, number: int) -> tuple[int, int]:
        if not -len(self) <= number < len(self):
            raise IndexError(f"site {number} of {len(self)}")
        number %= len(self)
        part = int(np.searchsorted(self.starts, number, side="right")) - 1
        return part, number - int(self.starts[part])


def window_of(sites: SiteArray, number: int, top: int, left: int, size: int) -> Pixels:
    """A square (C, size, size) of one site of any store."""
    if isinstance(sites, SiteStore):
        return sites.window(number, top, left, size)
    return np.asarray(sites[number, :, top:top + size, left:left + size])


def _opened(folder: Path) -> Any:
    try:
        facts = json.loads((folder / STORE).read_text(encoding="utf-8"))
        shape = tuple(int(length) for length in facts["shape"])
        if facts["kind"] == "zarr":
            array = zarr.open_array(folder / CHUNKED, mode="r")
            if array.shape != shape:
                raise ValueError(f"{array.shape}, expected {shape}")
            return _Zarr(array)
        if (folder / MAPPED).stat().st_size != 2 * math.prod(shape):
            raise ValueError(f"{MAPPED} is not {' x '.join(map(str, shape))} pixels")
        return np.memmap(folder / MAPPED, dtype="<u2", mode="r", shape=shape) if shape[0] else np.empty(shape, "<u2")
    except (OSError, ValueError, KeyError, TypeError) as cause:
        raise ScreenError(f"the pixels in {folder} cannot be read: {cause}; make the screen again with "
                          "`dssl-bio ingest`") from cause


class _Zarr:
    """A Zarr array with a length."""

    def __init__(self, array: zarr.Array):
        self.array, self.shape = array, array.shape

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        return self.array[key]
