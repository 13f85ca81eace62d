"""Classical features of cells, one row a cell, under the names that CellProfiler gives them.

`Cells_AreaShape_Area` is a compartment, a family and a measure, then the channel where there is one. Compartments are
Nuclei, Cells and Cytoplasm (a cell without its nucleus). Shapes come from scikit-image's regionprops; lengths are in
micrometres and areas in square micrometres, where CellProfiler counts pixels.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import regionprops_table

from dssl_bio.imaging.labels import Labels
from dssl_bio.imaging.segmentation import Masks

Columns = dict[str, NDArray[np.float64]]
Plane = NDArray[np.number]

TEXTURE_LEVELS, TEXTURE_SCALE_PX = 8, 3
RINGS = 4

_LENGTHS = {"perimeter": "Perimeter", "axis_major_length": "MajorAxisLength", "axis_minor_length": "MinorAxisLength",
            "equivalent_diameter_area": "EquivalentDiameter"}
_PLAIN = {"eccentricity": "Eccentricity", "solidity": "Solidity", "extent": "Extent"}


def cell_features(site: NDArray[np.number], masks: Masks, channels: tuple[str, ...],
                  pixel_size_um: float) -> pd.DataFrame:
    """Features of every nucleus of a site and of its cell, indexed by object number.

    A nucleus without a cell has no features of cell and cytoplasm: they are NaN.

    Args:
        site: (C, H, W) intensities.
        masks: of the site.
        channels: their C names.
        pixel_size_um: side of a pixel.
    """
    objects = np.arange(1, int(masks.nuclei.max(initial=0)) + 1)
    columns: Columns = {}
    for compartment, labels in _compartments(masks):
        if len(objects):
            columns |= {f"{compartment}_{name}": values for name, values in
                        _of_compartment(site, labels, channels, pixel_size_um, len(objects)).items()}
    if len(objects):
        columns["Nuclei_Neighbors_FirstClosestDistance"] = closest(masks.nuclei, len(objects)) * pixel_size_um
    return pd.DataFrame(columns, index=pd.Index(objects, name="object"))


def shapes(labels: Labels, pixel_size_um: float, n: int) -> Columns:
    """AreaShape measures (n,) of objects 1 to n; NaN for one that is not there."""
    names = ("label", "area", *_LENGTHS, *_PLAIN)
    found = regionprops_table(labels, properties=names)
    result = {name: np.full(n, np.nan) for name in ("Area", *_LENGTHS.values(), *_PLAIN.values(), "FormFactor")}
    places = found["label"] - 1
    result["Area"][places] = found["area"] * pixel_size_um**2
    for name, ours in _LENGTHS.items():
        result[ours][places] = found[name] * pixel_size_um
    for name, ours in _PLAIN.items():
        result[ours][places] = found[name]
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = 4 * np.pi * result["Area"] / result["Perimeter"] ** 2
    result["FormFactor"] = np.where(result["Perimeter"] > 0, factor, np.nan)
    return {f"AreaShape_{name}": values for name, values in result.items()}


def intensities(plane: Plane, labels: Labels, n: int) -> Columns:
    """Intensity measures (n,) of objects 1 to n in one channel (H, W)."""
    numbers = np.arange(1, n + 1)
    values = plane.astype(np.float64)
    present = np.bincount(labels.ravel(), minlength=n + 1)[1:n + 1] > 0
    measures = {"MeanIntensity": ndimage.mean, "StdIntensity": ndimage.standard_deviation,
                "MinIntensity": ndimage.minimum, "MaxIntensity": ndimage.maximum, "MedianIntensity": ndimage.median,
                "IntegratedIntensity": ndimage.sum_labels}
    with np.errstate(divide="ignore", invalid="ignore"):
        result = {name: np.asarray(measure(values, labels, numbers), float) for name, measure in measures.items()}
    return {name: np.where(present, found, np.nan) for name, found in result.items()}


def correlations(first: Plane, second: Plane, labels: Labels, n: int) -> NDArray[np.float64]:
    """Pearson correlation (n,) of two channels over the pixels of each object; NaN where one of them is constant."""
    a, b = first.astype(np.float64), second.astype(np.float64)
    flat = labels.ravel()
    counts = np.bincount(flat, minlength=n + 1)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(flat, values.ravel(), n + 1) / np.maximum(counts, 1)

    da, db = a - mean(a)[labels], b - mean(b)[labels]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = mean(da * db) / np.sqrt(mean(da * da) * mean(db * db))
    return np.where(np.isfinite(found), found, np.nan)[1:n + 1]


def textures(plane: Plane, labels: Labels, n: int) -> Columns:
    """Haralick's measures (n,) of neighbours TEXTURE_SCALE_PX apart, right and down, both ways, in TEXTURE_LEVELS grey
    levels from each object's darkest to its brightest pixel (Haralick et al. 1973, IEEE SMC 3, 610-621).

    Pairs count where both pixels lie in one object.
    """
    table = cooccurrence(grey_levels(plane, labels, n), labels, n)  # (n, L, L)
    total = table.sum(axis=(1, 2), keepdims=True)
    p = np.divide(table, total, out=np.full(table.shape, np.nan), where=total > 0)
    level = np.arange(TEXTURE_LEVELS, dtype=float)
    difference = level[:, None] - level[None, :]
    marginal = p.sum(axis=2)
    mean = (marginal * level).sum(axis=1)
    variance = (marginal * (level - mean[:, None]) ** 2).sum(axis=1)
    covariance = (p * (level[:, None] - mean[:, None, None]) * (level[None, :] - mean[:, None, None])).sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -(p * np.log2(np.where(p == 0, 1, p))).sum(axis=(1, 2))
        correlation = np.where(variance > 0, covariance / variance, np.nan)
    return {"Contrast": (p * difference**2).sum(axis=(1, 2)), "Correlation": correlation,
            "AngularSecondMoment": (p**2).sum(axis=(1, 2)), "Entropy": entropy,
            "InverseDifferenceMoment": (p / (1 + difference**2)).sum(axis=(1, 2))}


def grey_levels(plane: Plane, labels: Labels, n: int) -> NDArray[np.int64]:
    """Grey levels (H, W) from 0: each object's range of intensities in TEXTURE_LEVELS equal parts."""
    numbers = np.arange(n + 1)
    low = np.asarray(ndimage.minimum(plane, labels, numbers), float)
    high = np.asarray(ndimage.maximum(plane, labels, numbers), float)
    share = (plane - low[labels]) / np.maximum(high - low, 1e-12)[labels]
    return np.clip((share * TEXTURE_LEVELS).astype(np.int64), 0, TEXTURE_LEVELS - 1)


def cooccurrence(levels: NDArray[np.int64], labels: Labels, n: int) -> NDArray[np.float64]:
    """How often levels meet in each object (n, L, L), symmetric."""
    size, d = TEXTURE_LEVELS, TEXTURE_SCALE_PX
    total = np.zeros((n + 1) * size * size)
    for here, there in ((np.s_[:, :-d], np.s_[:, d:]), (np.s_[:-d, :], np.s_[d:, :])):
        same = (labels[here] == labels[there]) & (labels[here] > 0)
        index = (labels[here][same] * size + levels[here][same]) * size + levels[there][same]
        total += np.bincount(index, minlength=len(total))
    table = total.reshape(n + 1, size, size)[1:]
    return table + table.transpose(0, 2, 1)


def radial(plane: Plane, labels: Labels, n: int) -> Columns:
    """Share of an object's intensity in RINGS from its middle (1) to its rim, and that over the ring's share of area.

    A ring is a band of equal depth below the outline, relative to the deepest pixel; CellProfiler's goes by the place
    between a centre and the outline, which differs in objects that are not round.
    """
    inner = ndimage.distance_transform_edt(np.pad(labels > 0, 1) & ~_borders(np.pad(labels, 1)))[1:-1, 1:-1]
    deepest = np.maximum(np.asarray(ndimage.maximum(inner, labels, np.arange(n + 1)), float), 1e-12)
    ring = np.clip(((1 - inner / deepest[labels]) * RINGS).astype(int), 0, RINGS - 1)
    index = labels * RINGS + ring
    area = np.bincount(index.ravel(), minlength=(n + 1) * RINGS).reshape(-1, RINGS)[1:].astype(float)
    light = np.bincount(index.ravel(), plane.ravel().astype(float), (n + 1) * RINGS).reshape(-1, RINGS)[1:]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = light / light.sum(axis=1, keepdims=True)
        mean = share / (area / area.sum(axis=1, keepdims=True))
    names = [f"{k + 1}of{RINGS}" for k in range(RINGS)]
    return {f"FracAtD_{name}": share[:, k] for k, name in enumerate(names)} | {
        f"MeanFrac_{name}": mean[:, k] for k, name in enumerate(names)}


def closest(labels: Labels, n: int) -> NDArray[np.float64]:
    """Distance (n,) in pixels from each object's centre to the nearest other; NaN for one alone."""
    centres = np.array(ndimage.center_of_mass(labels > 0, labels, np.arange(1, n + 1))).reshape(n, 2)
    if n < 2:
        return np.full(n, np.nan)
    return np.asarray(cKDTree(centres).query(centres, k=2)[0][:, 1])


def _compartments(masks: Masks) -> Iterator[tuple[str, Labels]]:
    yield "Nuclei", masks.nuclei
    if masks.cells is not None:
        yield "Cells", masks.cells
        yield "Cytoplasm", np.where(masks.nuclei > 0, 0, masks.cells)


def _of_compartment(site: NDArray[np.number], labels: Labels, channels: tuple[str, ...], pixel_size_um: float,
                    n: int) -> Columns:
    columns = shapes(labels, pixel_size_um, n)
    for channel, plane in zip(channels, site, strict=True):
        columns |= {f"Intensity_{name}_{channel}": v for name, v in intensities(plane, labels, n).items()}
        columns |= {f"Texture_{name}_{channel}_{TEXTURE_SCALE_PX}": v for name, v in textures(plane, labels, n).items()}
        for name, values in radial(plane, labels, n).items():
            measure, ring = name.split("_")
            columns[f"RadialDistribution_{measure}_{channel}_{ring}"] = values
    for i, first in enumerate(channels):
        for j in range(i + 1, len(channels)):
            columns[f"Correlation_Correlation_{first}_{channels[j]}"] = correlations(site[i], site[j], labels, n)
    return columns


def _borders(labels: Labels) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour belongs to another object: distances end there, too."""
    border = np.zeros(labels.shape, bool)
    border[:, :-1] |= (labels[:, :-1] != labels[:, 1:]) & (labels[:, :-1] > 0) & (labels[:, 1:] > 0)
    border[:-1, :] |= (labels[:-1, :] != labels[1:, :]) & (labels[:-1, :] > 0) & (labels[1:, :] > 0)
    return border
