"""The spaces of a bundle as points on a plane: which phenotypes and molecules lie together."""

import importlib.util
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.retrieval.tables import ENTRY, SPLIT
from dssl_bio.screens.entries import ENTRY_KEY
from dssl_bio.vocabulary import CELL_COUNT, COMPOUND, DOSE_UM, MOA, MOLECULE_ID, PLATE

if TYPE_CHECKING:
    from dssl_bio.retrieval.bundle import Bundle

Space = Literal["shared", "phenotype", "molecule"]
Method = Literal["pca", "tsne", "umap"]

METHODS: tuple[Method, ...] = ("pca", "tsne", *(("umap",) if importlib.util.find_spec("umap") else ()))
"""What is installed here; `pip install umap-learn` adds the third."""

PHENOTYPE, MOLECULE, UNTREATED = "phenotype", "molecule", "untreated"
LIKE_UNTREATED = "likeness to untreated cells"
MAX_POINTS = 20_000
NEIGHBOURS = 15
PERPLEXITY = 30.0


def points(bundle: "Bundle", space: Space) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """What one space holds: a row a point, and its vector.

    `shared` holds phenotypes, untreated wells and molecules together, since they can be compared there; the specific
    spaces hold one kind each. In the shared space both kinds are centred, each on its own mean: contrastive training
    leaves a gap between modalities (Liang et al. 2022, arXiv:2203.02053) that would hide everything else in a drawing.
    Searches do not do so. Beyond MAX_POINTS some are drawn at random, the same at every call.

    Returns:
        Table with kind, number (row of the bundle's entries, controls or molecules), name, key, mechanism, plate,
        dose_um, split, likeness to untreated cells (cosine to their mean; phenotypes only, nan without controls).
    """
    parts, vectors = [], []
    if space in ("shared", "phenotype"):
        for kind, table, own in ((PHENOTYPE, bundle.entries, bundle.vectors),
                                 (UNTREATED, bundle.controls, bundle.control_vectors)):
            parts.append(_rows(kind, table))
            vectors.append(own.shared if space == "shared" else own.specific)
    if space in ("shared", "molecule"):
        parts.append(_rows(MOLECULE, bundle.molecules))
        vectors.append(bundle.molecule_vectors.shared if space == "shared" else bundle.molecule_vectors.specific)
    table, matrix = pd.concat(parts, ignore_index=True), np.concatenate(vectors)
    if space == "shared":
        matrix = _without_gap(matrix, (table["kind"] == MOLECULE).to_numpy())
    likeness = likeness_to_untreated(bundle)
    phenotype = (table["kind"] == PHENOTYPE).to_numpy()
    if MOLECULE_ID in bundle.entries and phenotype.any():
        of_molecule = bundle.molecules.set_index(MOLECULE_ID)[SPLIT]
        table.loc[phenotype, "split"] = bundle.entries[MOLECULE_ID].map(of_molecule).to_numpy(object)
    table[LIKE_UNTREATED] = np.nan
    if likeness is not None:
        table.loc[phenotype, LIKE_UNTREATED] = likeness[table.loc[phenotype, "number"].to_numpy(int)]
    if len(table) > MAX_POINTS:
        rows = np.sort(np.random.default_rng(0).choice(len(table), MAX_POINTS, replace=False))
        table, matrix = table.iloc[rows].reset_index(drop=True), matrix[rows]
    return table, matrix


def likeness_to_untreated(bundle: "Bundle") -> NDArray[np.float32] | None:
    """Cosine of each entry's shared vector to the mean of the untreated wells'; None without untreated wells."""
    if len(bundle.controls) == 0:
        return None
    mean = bundle.control_vectors.shared.mean(0)
    return bundle.vectors.shared @ (mean / max(float(np.linalg.norm(mean)), 1e-12))


def plane(vectors: NDArray[np.floating], method: Method, seed: int = 0) -> NDArray[np.float32]:
    """Points (N, D) on a plane (N, 2).

    `pca` keeps distances as well as two straight axes can. `tsne` (van der Maaten and Hinton 2008) and `umap` (McInnes
    et al. 2018) keep neighbours together; distances between groups and sizes of groups mean nothing there.

    Raises:
        ValueError: the method is not one of METHODS.
    """
    if method not in METHODS:
        raise ValueError(f"no method {method!r}; there are {', '.join(METHODS)}")
    centred = np.asarray(vectors, dtype=np.float64) - vectors.mean(0)
    if method == "pca" or len(vectors) < 2 * NEIGHBOURS:
        left, scale, right = np.linalg.svd(centred, full_matrices=False)
        flat = (left * scale)[:, :2] * np.where(right[:2].sum(1) < 0, -1.0, 1.0)  # one of two equal signs
        return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1]))).astype(np.float32)
    if method == "tsne":
        from sklearn.manifold import TSNE

        fitted = TSNE(init="pca", perplexity=PERPLEXITY, random_state=seed, metric="cosine", n_jobs=1)
        return fitted.fit_transform(vectors.astype(np.float32)).astype(np.float32)
    import umap

    fitted = umap.UMAP(n_neighbors=NEIGHBOURS, metric="cosine", random_state=seed, n_jobs=1)
    return np.asarray(fitted.fit_transform(vectors), dtype=np.float32)


def measures(wells: pd.DataFrame) -> list[str]:
    """Columns of the wells that a plate can be coloured by: numbers that vary."""
    skipped = {ENTRY}
    names = [str(name) for name in wells if name not in skipped and pd.api.types.is_numeric_dtype(wells[name])
             and not pd.api.types.is_bool_dtype(wells[name]) and wells[name].nunique() > 1]
    return sorted(names, key=lambda name: (name != CELL_COUNT, name))


def mean_of_entries(wells: pd.DataFrame, column: str, n_entries: int) -> NDArray[np.float64]:
    """A number of the wells, averaged over each entry's, (n_entries,); nan where it is missing."""
    values = pd.to_numeric(wells[column], errors="coerce")[wells[ENTRY] >= 0]
    return values.groupby(wells[ENTRY]).mean().reindex(range(n_entries)).to_numpy(float)


def _without_gap(vectors: NDArray[np.float32], molecule: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Vectors minus the mean of their modality."""
    centred = vectors.copy()
    for mask in (molecule, ~molecule):
        if mask.any():
            centred[mask] -= vectors[mask].mean(0)
    return centred


def _rows(kind: str, table: pd.DataFrame) -> pd.DataFrame:
    def column(name: str) -> "pd.Series[object]":
        return table[name].astype(object) if name in table else pd.Series([None] * len(table), index=table.index,
                                                                          dtype=object)

    key = column(ENTRY_KEY if kind == PHENOTYPE else MOLECULE_ID if kind == MOLECULE else "row_key")
    name = column(COMPOUND).where(column(COMPOUND).notna(), column(MOLECULE_ID))
    return pd.DataFrame({
        "kind": kind, "number": np.arange(len(table)), "key": key.to_numpy(),
        "name": name.where(name.notna(), key).to_numpy(), "mechanism": column(MOA).to_numpy(),
        "plate": column(PLATE).map(lambda text: None if pd.isna(text) else str(text).split(";")[0]).to_numpy(),
        "dose_um": column(DOSE_UM).astype(float).to_numpy(), "split": column(SPLIT).to_numpy()})
