import importlib.util

import numpy as np
import pandas as pd
import pytest

from dssl_bio.evaluation import maps
from dssl_bio.evaluation.maps import PCA_WORDS, UMAP_WORDS, entry_maps, plane


def clusters(n=30):
    """Three directions, n unit vectors around each."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(3, 8), n, axis=0) + 0.1 * rng.normal(size=(3 * n, 8))
    entries = pd.DataFrame({"molecule_id": [f"m{i}" for i in range(3 * n)],
                            "mechanism": np.repeat(["a", "b", None], n),
                            "Metadata_Plate": np.tile(["P1", "P2;P3"], 3 * n // 2)})
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), entries


def apart(places, n=30):
    """Smallest distance of two clusters' centres, in spreads of a cluster."""
    groups = places.reshape(3, n, 2)
    centres = groups.mean(1)
    return min(np.linalg.norm(centres[i] - centres[j]) for i, j in ((0, 1), (0, 2), (1, 2))) / groups.std(1).max()


def test_entries_are_mapped_by_mechanism_and_by_plate():
    vectors, entries = clusters()
    figures, how = entry_maps(vectors, entries)
    assert list(figures) == ["mechanism", "plate"] and how == PCA_WORDS
    assert {trace.name for trace in figures["mechanism"].data} == {"a", "b", "not annotated"}
    assert {trace.name for trace in figures["plate"].data} == {"P1", "P2"}
    assert apart(plane(vectors)[0]) > 3


def test_without_anything_to_colour_by_there_is_no_map():
    vectors, entries = clusters()
    assert entry_maps(vectors, entries[["molecule_id"]]) == ({}, "")


@pytest.mark.slow
def test_umap_is_taken_where_it_is_installed(monkeypatch):
    pytest.importorskip("umap")
    monkeypatch.setattr(maps, "find_spec", importlib.util.find_spec)
    vectors, _ = clusters()
    places, how = plane(vectors)
    assert how == UMAP_WORDS and places.shape == (90, 2) and apart(places) > 3
