"""From what a person calls a well to its row: the one way for every question about a well."""

import difflib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.errors import QueryError
from dssl_bio.vocabulary import PLATE, ROW_KEY, WELL, well_name

OFFERED, LONGEST, MOST_COMPARED = 5, 80, 50_000
SEPARATORS = ":/_ "


def find_well(wells: pd.DataFrame, text: str) -> int:
    """Row of the well that a text names; see `wells_named`.

    Raises:
        QueryError: no such well, or several; names are offered.
    """
    if (row := only_well(wells, text)) is None:
        raise not_found("well", text, wells[ROW_KEY].astype(str).tolist())
    return row


def only_well(wells: pd.DataFrame, text: str) -> int | None:
    """Row of the one well that a text names, None where there is none; see `wells_named`.

    Raises:
        QueryError: several wells have that name.
    """
    rows = wells_named(wells, text)
    if len(rows) > 1:
        some = ", ".join(wells[ROW_KEY].astype(str).iloc[rows[:OFFERED]])
        raise QueryError(f"{len(rows)} wells are called {text.strip()[:LONGEST]!r}; say which, such as {some}")
    return int(rows[0]) if len(rows) else None


def wells_named(wells: pd.DataFrame, text: str) -> NDArray[np.int64]:
    """Rows of the wells that a text names: the exact row key; a row key in another case; plate and well; well alone.

    Between plate and well may stand `:`, `/`, `_` or a space; A1, a1, a01 and A01 are one well, and the plate's case
    does not matter where no two plates differ by it alone. The first of these ways that finds any well counts.
    """
    text = text.strip()
    keys = wells[ROW_KEY].astype(str).to_numpy(object)
    exact = np.flatnonzero(keys == text)
    if len(exact):
        return exact
    folded = np.flatnonzero(np.array([key.casefold() for key in keys], dtype=object) == text.casefold())
    if len(folded) or WELL not in wells:
        return folded
    places = wells[WELL].astype(str).map(_spelled).to_numpy(object)
    cuts = [at for at, letter in enumerate(text) if letter in SEPARATORS]
    if PLATE in wells and cuts:
        plate, place = text[:cuts[-1]].rstrip(), _spelled(text[cuts[-1] + 1:])
        plates = wells[PLATE].astype(str)
        here = places == place
        for own, asked in ((plates, plate), (plates.str.casefold(), plate.casefold())):
            rows = np.flatnonzero(here & (own == asked).to_numpy())
            if len(rows):
                return rows
    return np.flatnonzero(places == _spelled(text))


def not_found(what: str, text: str, names: Sequence[str]) -> QueryError:
    """The error for a name that nothing has, with the nearest names."""
    some = list(names[:MOST_COMPARED])
    near = difflib.get_close_matches(text.strip()[:LONGEST], some, OFFERED, cutoff=0.3) or some[:OFFERED]
    return QueryError(f"no {what} is called {text.strip()[:LONGEST]!r}; the nearest names are {', '.join(near)}")


def _spelled(name: str) -> str:
    try:
        return well_name(name.strip())
    except ValueError:
        return name.strip().casefold()
