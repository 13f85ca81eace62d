"""Records of artefact folders: damaged ones are said, and what they name can be read by others."""

import json
import os
import stat

import numpy as np
import pytest
from safetensors.numpy import save_file

from dssl_bio.artefact import read_record, seal, verify
from dssl_bio.errors import BundleError, RunError

GOOD = {"kind": "bundle", "schema_version": 1, "files": {}}


@pytest.mark.parametrize(("text", "message"), [
    ("[1]", "no JSON object"), ("null", "no JSON object"), ("{ not", "is damaged"), ("\udcff", "is damaged"),
    ("[" * 100_000, "is damaged"), ('{"schema_version": 1}', "lacks kind and files"),
    *((json.dumps({k: v for k, v in GOOD.items() if k != key}), f"lacks {key}") for key in GOOD),
    (json.dumps(GOOD | {"kind": "run"}), "record of a run"), (json.dumps(GOOD | {"files": ["a"]}), "files is not"),
    (json.dumps(GOOD | {"files": {"a": 1}}), "files is not"),
])
def test_a_damaged_record_is_said_with_its_file_and_what_makes_it_again(tmp_path, text, message):
    (tmp_path / "bundle.json").write_bytes(text.encode(errors="surrogateescape"))
    for read in (read_record, verify):
        with pytest.raises(BundleError, match="bundle.json is damaged.*dssl-bio index") as problem:
            read(tmp_path, "bundle")
        assert message in str(problem.value)


def test_a_file_where_a_folder_is_expected_is_called_one(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="run is a file"):
        read_record(tmp_path / "run", "run")


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_sealed_files_can_be_read_by_whom_the_umask_lets(tmp_path, umask):
    before = os.umask(umask)
    try:
        (tmp_path / "inner").mkdir()
        save_file({"x": np.zeros(3)}, tmp_path / "inner" / "x.safetensors")
        seal(tmp_path, "run", {})
    finally:
        os.umask(before)
    for path in (tmp_path / "run.json", tmp_path / "inner" / "x.safetensors"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
