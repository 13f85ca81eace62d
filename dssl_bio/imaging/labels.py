"""Label images: (H, W) integers, 0 is background and each object has a number of its own."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import label, regionprops
from skimage.segmentation import find_boundaries

from dssl_bio.errors import ImageError
from dssl_bio.imaging.read import MAX_PIXELS, read_planes

Labels = NDArray[np.int32]


def read_labels(path: Path, min_area_px: int = 0) -> Labels:
    """Objects of a mask file, numbered from 1 without gaps.

    A greyscale picture holds labels; of a colour picture the red channel does. One label may hold several objects that
    do not touch (annotators re-use numbers): each connected part is an object.

    Args:
        path: PNG or TIFF.
        min_area_px: smaller parts are dropped: specks of the annotation tool.

    Raises:
        ImageError: missing, too large, damaged, or not a mask.
    """
    values = _png(path) if path.suffix.lower() == ".png" else read_planes(path)[0]
    return numbered(values.astype(np.int32), min_area_px)


def numbered(values: NDArray[np.integer], min_area_px: int = 0) -> Labels:
    """Connected parts (edges or corners touch) of equal label, numbered from 1; parts under an area dropped."""
    parts = label(values, background=0, connectivity=2).astype(np.int32)
    if min_area_px > 1:
        areas = np.bincount(parts.ravel())
        areas[0] = 0
        parts[areas[parts] < min_area_px] = 0
    return renumbered(parts)


def renumbered(labels: NDArray[np.integer]) -> Labels:
    """The same objects numbered from 1 without gaps, in the order of their numbers."""
    names, places = np.unique(labels, return_inverse=True)
    if len(names) and names[0] == 0:
        return places.reshape(labels.shape).astype(np.int32)
    return (places.reshape(labels.shape) + 1).astype(np.int32)


def outlines(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Pixels (H, W) of objects that touch another object or background."""
    return find_boundaries(labels, mode="inner")


def areas_and_centres(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """One row (label, area in pixels, y, x of the centre) an object, by label."""
    return np.array([(r.label, r.area, *r.centroid) for r in regionprops(labels)], dtype=float).reshape(-1, 4)


def _png(path: Path) -> NDArray[np.integer]:
    if not path.is_file():
        raise ImageError(f"{path}: no such file")
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            if picture.format != "PNG":
                raise ImageError(f"{path}: expected a PNG file, it is {picture.format}")
            if width * height > MAX_PIXELS:
                raise ImageError(f"{path}: {height} x {width} pixels; at most {MAX_PIXELS:,} pixels are accepted")
            values = np.asarray(picture)
    except ImageError:
        raise
    except Exception as cause:  # noqa: BLE001 - decoders raise a dozen kinds on damaged bytes
        raise ImageError(f"{path}: cannot be read, damaged or not a PNG file ({cause})") from cause
    return values[..., 0] if values.ndim == 3 else values
