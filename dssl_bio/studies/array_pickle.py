"""The one reader of pickles: dictionaries, lists, text, numbers and NumPy arrays, and nothing else.

MultiBench publishes its features as pickles and in no other form. A pickle is a program: this reader resolves no
name but those NumPy needs to rebuild an array, and puts functions of its own in their place.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from dssl_bio.errors import DsslBioError

MAX_BYTES = 20 * 1024**3


class _Array:
    """Stands for numpy.ndarray where a pickle names it: it can be passed on, not called."""


def _reconstruct(kind: Any, shape: Any, typecode: Any) -> np.ndarray:
    """An empty array whose state follows in the pickle."""
    if kind is not _Array:
        raise pickle.UnpicklingError("an array of another class than numpy.ndarray")
    return np.ndarray.__new__(np.ndarray, (0,), "b")


def _scalar(dtype: Any, raw: Any = b"") -> Any:
    """A NumPy number from its bytes."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not isinstance(raw, bytes) or len(raw) != dtype.itemsize:
        raise pickle.UnpicklingError("a NumPy scalar that is not a plain number")
    return np.frombuffer(raw, dtype)[0]


def _dtype(name: Any, align: Any = False, copy: Any = False) -> np.dtype:
    """A plain dtype from its code, such as f8 or U12."""
    if not isinstance(name, str) or len(name) > 12:
        raise pickle.UnpicklingError("a structured dtype")
    return np.dtype(name)


def _encode(text: Any, codec: Any = "latin1") -> bytes:
    """Bytes, as Python 3 writes them in the old protocols."""
    if not isinstance(text, str) or codec != "latin1":
        raise pickle.UnpicklingError(f"bytes in codec {codec!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {("numpy", "ndarray"): _Array, ("numpy", "dtype"): _dtype,
                                        ("_codecs", "encode"): _encode}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    _ALLOWED[_module, "_reconstruct"] = _reconstruct
    _ALLOWED[_module, "scalar"] = _scalar


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not part of an array") from None

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to an object outside the file")


def read_arrays(path: Path) -> Any:
    """What a pickle of arrays, dictionaries, lists, text and numbers holds.

    Raises:
        DsslBioError: it cannot be read, is larger than 20 GiB, or holds anything else; nothing of it was called then.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DsslBioError(f"{path} is larger than {MAX_BYTES:,} bytes")
        with path.open("rb") as file:
            return _ArrayUnpickler(file, encoding="latin1").load()
    except DsslBioError:
        raise
    except OSError as cause:
        raise DsslBioError(f"{path} cannot be read: {cause.strerror or cause}") from cause
    except Exception as cause:  # noqa: BLE001 - a malformed pickle raises nearly anything
        raise DsslBioError(f"{path} was refused: only NumPy arrays, dictionaries, lists, text and numbers are read; "
                           f"{cause}") from cause
