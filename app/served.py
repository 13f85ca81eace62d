"""Which bundles a server serves, and what each is called there."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

BUNDLES_VARIABLE = "DSSL_BIO_BUNDLES"


def bundles_of_server() -> dict[str, Path]:
    """The bundles that `dssl-bio serve` was started with, by name."""
    return named(Path(text) for text in os.environ.get(BUNDLES_VARIABLE, "").split(os.pathsep) if text)


def named(paths: Iterable[Path]) -> dict[str, Path]:
    """Bundles by the name of their folder; two of one name are told apart by a number."""
    taken: Counter[str] = Counter()
    names = {}
    for path in paths:
        taken[path.name] += 1
        names[path.name if taken[path.name] == 1 else f"{path.name} ({taken[path.name]})"] = path
    return names
