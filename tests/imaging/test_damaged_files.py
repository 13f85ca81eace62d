"""A thousand damaged files: each is read or refused in a sentence, quickly; none crashes, hangs or eats the memory."""

import time

import imagecodecs
import numpy as np
import pytest
import tifffile

from dssl_bio.errors import ImageError
from dssl_bio.imaging.read import read_planes

N_FILES = 240
SLOW_S = 2.0
MAX_PIXELS = 100_000


def valid_files():
    generator = np.random.default_rng(0)
    plane = generator.poisson(200, (40, 50)).astype(np.uint16)
    stack = generator.poisson(200, (3, 40, 50)).astype(np.uint16)
    return {
        "lzw.tif": lambda path: tifffile.imwrite(path, plane, compression="lzw", predictor=True, rowsperstrip=8),
        "deflate.tif": lambda path: tifffile.imwrite(path, plane, compression="zlib"),
        "pages.ome.tif": lambda path: tifffile.imwrite(path, stack, photometric="minisblack", metadata={"axes": "CYX"}),
        "tiles.tif": lambda path: tifffile.imwrite(path, plane, tile=(16, 16), bigtiff=True),
        "grey.png": lambda path: path.write_bytes(imagecodecs.png_encode(plane)),
        "jpeg2000.jp2": lambda path: path.write_bytes(imagecodecs.jpeg2k_encode(plane, level=0, codecformat="jp2")),
        "jpegxl.jxl": lambda path: path.write_bytes(imagecodecs.jpegxl_encode(plane, lossless=True)),
    }


def damaged(content, generator):
    """Cuts, flips or overwrites; beginning and end, where headers stand, are hit more often than chance would."""
    changed = bytearray(content)
    kind = generator.integers(4)
    if kind == 0:
        return bytes(changed[:generator.integers(len(changed))])
    for _ in range(generator.integers(1, 9)):
        most = min(len(changed), 400) if kind == 1 else len(changed)
        place = int(generator.integers(most))
        if kind == 3:
            place = len(changed) - 1 - int(generator.integers(min(len(changed), 400)))
        changed[place] = generator.integers(256) if generator.random() < 0.5 else changed[place] ^ (
            1 << int(generator.integers(8)))
    return bytes(changed)


@pytest.mark.parametrize("name", valid_files())
def test_a_damaged_file_is_read_or_refused_quickly(tmp_path, name):
    good = tmp_path / name
    valid_files()[name](good)
    content = good.read_bytes()
    generator = np.random.default_rng(len(content))
    refused, slowest = 0, 0.0
    path = tmp_path / f"damaged.{name}"
    for _ in range(N_FILES):
        path.write_bytes(damaged(content, generator))
        start = time.perf_counter()
        try:
            planes = read_planes(path, max_pixels=MAX_PIXELS)
            assert planes.dtype == np.uint16 and planes.ndim == 3 and planes[0].size <= MAX_PIXELS
        except ImageError as problem:
            refused += 1
            assert path.name in str(problem)
        slowest = max(slowest, time.perf_counter() - start)
    assert refused > N_FILES / 5
    assert slowest < SLOW_S
