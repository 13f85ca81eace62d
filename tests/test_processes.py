"""A spawned process takes nothing of its caller but what it imports."""

import math
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType

from dssl_bio.processes import script_not_run_again


def test_the_main_script_is_not_executed_by_spawned_processes(tmp_path, monkeypatch):
    page = tmp_path / "page.py"  # as below Streamlit: the main module is a file that cannot run here
    page.write_text("raise SystemExit('executed again')")
    main = ModuleType("__main__")
    main.__file__ = str(page)
    monkeypatch.setitem(sys.modules, "__main__", main)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        with script_not_run_again():
            roots = pool.map(math.sqrt, [4.0, 9.0])
        assert list(roots) == [2.0, 3.0]
    assert sys.modules["__main__"] is main
