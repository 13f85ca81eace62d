import os
import pickle

import numpy as np
import pytest

from dssl_bio.errors import DsslBioError
from dssl_bio.studies.array_pickle import read_arrays


def written(tmp_path, value, protocol=4):
    path = tmp_path / "data.pkl"
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", [0, 2, 3, 4])
def test_arrays_dictionaries_text_and_numbers_come_back(tmp_path, protocol):
    value = {"train": {"vision": np.arange(12, dtype=np.float32).reshape(2, 3, 2), "id": np.array(["a", "bc"]),
                       "labels": np.array([[1.0], [-1.0]]), "words": np.array([["x", 1], ["y", None]], dtype=object)},
             "n": np.float64(2.5), "list": [1, "two", (3.0, None, True)], "order": np.asfortranarray(np.eye(3))}
    found = read_arrays(written(tmp_path, value, protocol))
    for key in ("vision", "id", "labels", "words"):
        assert np.array_equal(found["train"][key], value["train"][key])
        assert found["train"][key].dtype == value["train"][key].dtype
    assert found["n"] == 2.5 and found["list"] == value["list"] and np.array_equal(found["order"], np.eye(3))


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("hostile", [
    Calls(os.system, "touch {marker}"), Calls(eval, "open('{marker}', 'w')"), Calls(open, "{marker}", "w"),
    Calls(np.load, "{marker}"), Calls(np.fromfile, "{marker}"), Calls(getattr, {}, "keys"),
    Calls(np.ndarray, (10**12,)),
], ids=["os.system", "eval", "open", "numpy.load", "numpy.fromfile", "getattr", "ndarray"])
def test_a_pickle_that_calls_anything_is_refused_and_calls_nothing(tmp_path, hostile):
    marker = tmp_path / "marker"
    hostile.call = hostile.call[0], tuple(a.replace("{marker}", str(marker)) if isinstance(a, str) else a
                                          for a in hostile.call[1])
    path = written(tmp_path, {"train": [np.ones(3), hostile]})
    with pytest.raises(DsslBioError, match="was refused"):
        read_arrays(path)
    assert not marker.exists()


@pytest.mark.parametrize("raw", [b"", b"not a pickle", b"\x80\x04", b"cposix\nsystem\n(S'true'\ntR.",
                                 b"\x80\x04Pid\n.", pickle.dumps(np.ones(100))[:-40], b"c__builtin__\nexec\n."])
def test_damaged_and_hand_made_pickles_are_refused_with_a_sentence(tmp_path, raw):
    with pytest.raises(DsslBioError, match="was refused"):
        read_arrays(written(tmp_path, raw))


def test_a_scalar_of_objects_and_an_array_with_too_few_bytes_are_refused(tmp_path):
    scalar = b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O'\ntRS'x'\ntR."
    short = pickle.dumps(np.ones(4), 2).replace(b"K\x04", b"K\x09", 1)
    for raw in (scalar, short):
        with pytest.raises(DsslBioError, match="was refused"):
            read_arrays(written(tmp_path, raw))
