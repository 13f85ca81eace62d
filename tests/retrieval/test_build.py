"""What a bundle's pictures cost in memory: one picture, however many there are."""

import tracemalloc

import numpy as np
import pytest

from dssl_bio.errors import BundleError
from dssl_bio.retrieval.build import _save_rows


def pictures(n, px=64):
    for number in range(n):
        yield np.full((5, px, px), number, dtype=np.uint8)


def test_pictures_written_one_by_one_are_the_file_of_all_of_them(tmp_path):
    _save_rows(tmp_path / "rows.npy", pictures(7), 7)
    np.save(tmp_path / "all.npy", np.stack(list(pictures(7))), allow_pickle=False)
    assert (tmp_path / "rows.npy").read_bytes() == (tmp_path / "all.npy").read_bytes()


def test_not_all_pictures_are_held_at_once(tmp_path):
    tracemalloc.start()
    try:
        _save_rows(tmp_path / "rows.npy", pictures(300), 300)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * 5 * 64 * 64 < np.load(tmp_path / "rows.npy", mmap_mode="r").nbytes


def test_a_picture_of_another_size_is_refused(tmp_path):
    with pytest.raises(BundleError, match="picture 1"):
        _save_rows(tmp_path / "rows.npy", iter([next(pictures(1)), next(pictures(1, 32))]), 2)
