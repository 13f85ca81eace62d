"""OME-Zarr (NGFF 0.4 and 0.5): images as planes, and what an HCS plate says of its wells and fields."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from dssl_bio.errors import ImageError
from dssl_bio.imaging.header import Header, Limits, require

SUFFIX = ".zarr"
_TO_UM = {"nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3}
_MARKS = ("zarr.json", ".zgroup", ".zattrs")
_FAILURES = (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError)


@dataclass(frozen=True)
class Field:
    """One field of view of a plate: row and column of its well, its number, and its image, relative to the plate."""

    row: str
    column: str
    number: int
    image: str


def is_zarr(path: Path) -> bool:
    """Whether a path is a folder with the mark of a Zarr group."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def planes(path: Path, limits: Limits) -> NDArray[np.uint16 | np.uint8]:
    """The channels (C, H, W) of an image at full resolution.

    Raises:
        ImageError: no OME-Zarr image, several focal planes or time points, or not what `limits` accepts.
    """
    array, axes = _full_resolution(path)
    announced = _header(array, axes, path)
    require(announced, str(path), limits)
    if int(np.prod(array.chunks, dtype=np.float64)) > 5 * limits.max_pixels:
        raise ImageError(f"{path}: chunks of {' x '.join(map(str, array.chunks))} are larger than any site")
    try:
        pixels = np.asarray(array[...])
    except _FAILURES as cause:
        raise ImageError(f"{path}: cannot be read, damaged ({cause})") from cause
    order = [i for i, axis in enumerate(axes) if axis not in "yx"] + [axes.index("y"), axes.index("x")]
    return np.transpose(pixels, order).reshape(announced.n_planes, *announced.shape)


def header(path: Path) -> Header:
    """What an image announces.

    Raises:
        ImageError: as for `planes`.
    """
    array, axes = _full_resolution(path)
    return _header(array, axes, path)


def channel_names(path: Path) -> list[str]:
    """Labels of an image's channels; empty where it has none."""
    channels = _attributes(path).get("omero", {}).get("channels", [])
    return [str(channel.get("label", "")) for channel in channels if isinstance(channel, dict)]


def pixel_size_um(path: Path) -> float | None:
    """Side of a pixel at full resolution, in micrometres; None where the image does not say, or has oblong pixels."""
    try:
        described = _attributes(path)["multiscales"][0]
        steps = [step["scale"] for part in (described["datasets"][0], described)
                 for step in part.get("coordinateTransformations", ()) if step.get("type") == "scale"]
        axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in described["axes"]]
        scale = np.prod(np.array(steps, float).reshape(-1, len(axes)), axis=0)
        found = {float(length) * _TO_UM[axis["unit"]] for axis, length in zip(axes, scale, strict=True)
                 if str(axis["name"]).lower() in ("y", "x")}
    except _FAILURES:
        return None
    size = found.pop()
    return size if steps and size > 0 and all(abs(other / size - 1) < 1e-3 for other in found) else None


def fields_of(plate: Path) -> tuple[str, list[Field]]:
    """Name and fields of an HCS plate, in the order of its wells.

    Raises:
        ImageError: no HCS plate, or its description is damaged.
    """
    try:
        described = _attributes(plate)["plate"]
        found = []
        for well in described["wells"]:
            row, column = _inside(str(well["path"])).split("/")
            images = _attributes(plate / row / column)["well"]["images"]
            found += [Field(row, column, number, f"{row}/{column}/{_inside(str(image['path']))}")
                      for number, image in enumerate(images, start=1)]
    except _FAILURES as cause:
        raise ImageError(f"{plate}: no OME-Zarr plate, or its description is damaged ({cause!r})") from cause
    return str(described.get("name") or plate.name.removesuffix(SUFFIX)), found


def _full_resolution(path: Path) -> tuple[Any, str]:
    """The first data set of an image, and its axes, a letter each."""
    try:
        described = _attributes(path)["multiscales"][0]
        axes = "".join(str(axis["name"] if isinstance(axis, dict) else axis)[0].lower() for axis in described["axes"])
        array = zarr.open_array(path / _inside(str(described["datasets"][0]["path"])), mode="r")
    except _FAILURES as cause:
        raise ImageError(f"{path}: no OME-Zarr image, or its description is damaged ({cause!r})") from cause
    if array.ndim != len(axes) or not {"y", "x"} <= set(axes):
        raise ImageError(f"{path}: {array.ndim} dimensions and axes {axes!r}, expected an image with y and x")
    return array, axes


def _header(array: Any, axes: str, path: Path) -> Header:
    sizes = dict(zip(axes, array.shape, strict=True))
    for axis, size in sizes.items():
        if axis not in "cyx" and size != 1:
            raise ImageError(f"{path}: {size} along axis {axis}; one is expected, project or choose before")
    return Header(sizes.get("c", 1), sizes["y"], sizes["x"], np.dtype(array.dtype))


def _attributes(path: Path) -> dict[str, Any]:
    try:
        attributes = dict(zarr.open_group(path, mode="r").attrs)
    except _FAILURES as cause:
        raise ImageError(f"{path}: no OME-Zarr group ({cause})") from cause
    inner = attributes.get("ome")
    return inner if isinstance(inner, dict) else attributes


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or "\\" in path:
        raise ValueError(f"path {path!r} leaves its folder")
    return path
