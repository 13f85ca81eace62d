"""One plate's part of an ingest: what is told to the process that does it, and how it goes through the sites."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.errors import ImageError
from dssl_bio.imaging.places import Place
from dssl_bio.imaging.read import read_site
from dssl_bio.screens.image_source import ImagesSource
from dssl_bio.screens.rows import FILE
from dssl_bio.screens.sources.load_data import planes_of
from dssl_bio.vocabulary import SITE, WELL

MOST_READERS = 4
FILES = "file"
"""Column with the names of a site's files."""

Pixels = NDArray[np.uint16]
Row = Mapping[Hashable, Any]


@dataclass(frozen=True)
class PlateImages:
    """What is to be done of one plate.

    Attributes:
        plate: its name.
        rows: of the table of sites: row_key, file and row of the table, well, site, file names.
        control: (S,) sites of negative controls.
        bases: folder of each table, by the rows' `_file`.
        source: the manifest's images.
        root: of the manifest's paths.
        shape: (H, W) of files.
        dtype: of files.
        stored: (H, W) after shrinking.
        readers: threads.
    """

    plate: str
    rows: pd.DataFrame
    control: NDArray[np.bool_]
    bases: dict[str, Path]
    source: ImagesSource
    root: Path
    shape: tuple[int, int]
    dtype: str
    stored: tuple[int, int]
    readers: int = MOST_READERS

    def places(self, row: Row) -> list[Place]:
        """Where the channels of a row lie; nowhere when one of them is missing."""
        try:
            return [plane.path for plane in planes_of(row, self.source, self.base(row))]
        except ImageError:
            return []

    def records(self) -> list[dict[Hashable, Any]]:
        """The rows, one dictionary each."""
        return self.rows.to_dict("records")

    def base(self, row: Row) -> Path:
        """What the file names of a row are relative to."""
        return self.bases[row[FILE]]

    def read(self, row: Row) -> Pixels:
        """The site of a row."""
        planes = planes_of(row, self.source, self.base(row))
        return read_site(planes, self.source.order, self.shape, bits=self.source.bits, dtype=np.dtype(self.dtype))


class Warnings:
    """What is doubtful of a plate and stays."""

    def __init__(self, plate: str):
        self.plate, self.found = plate, list[dict[str, str]]()

    def add(self, row: "pd.Series[Any] | None", message: str) -> None:
        """One warning, of a site or of the plate."""
        told = dict.fromkeys(("well", "site", "file"), "")
        if row is not None:
            for name, word in (("well", WELL), ("site", SITE), ("file", FILES)):
                told[name] = "" if pd.isna(row.get(word)) else str(row.get(word))
        self.found.append({"plate": self.plate, **told, "message": message})

    def table(self) -> pd.DataFrame:
        """plate, well, site, file, message."""
        return pd.DataFrame(self.found, columns=["plate", "well", "site", "file", "message"], dtype="str")


def in_order(rows: list[dict[Hashable, Any]], step: Callable[[int, Row], Any], readers: int,
              ) -> Iterator[tuple[int, Any]]:
    """Rows with what a step makes of them, or its ImageError; a few threads stay a little ahead."""

    def tried(number: int) -> Any:
        try:
            return step(number, rows[number])
        except ImageError as problem:
            return problem

    waiting: deque[tuple[int, Future[Any]]] = deque()
    with ThreadPoolExecutor(readers) as pool:
        try:
            for number in range(len(rows)):
                waiting.append((number, pool.submit(tried, number)))
                if len(waiting) > 2 * readers:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(cancel_futures=True)
