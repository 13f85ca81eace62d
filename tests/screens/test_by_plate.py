"""Plates are done once, resumed, and survive the death of a process, wherever the work runs."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from dssl_bio.errors import DsslBioError
from dssl_bio.screens.by_plate import PlateJob, by_plate, name_on_disk

PLATES = [f"P{number}" for number in range(5)]


def write_number(argument, out):
    """Appends to a log how often it ran; plates told to fail do so."""
    if argument.get("die") and not Path(argument["die"]).exists():
        Path(argument["die"]).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if argument.get("problem"):
        raise DsslBioError(argument["problem"])
    time.sleep(argument.get("seconds", 0))
    with Path(argument["log"]).open("a") as log:
        log.write(f"{argument['number']}\n")
    (out / "number.txt").write_text(str(argument["number"]))


def mark(argument):
    return json.dumps(argument["number"])


def jobs(tmp_path, **changed):
    for number, plate in enumerate(PLATES):
        yield PlateJob(plate, {"number": number, "log": str(tmp_path / "log"), **changed.get(plate, {})})


def ran(tmp_path):
    return sorted((tmp_path / "log").read_text().split()) if (tmp_path / "log").exists() else []


@pytest.mark.parametrize("workers", [1, 2])
def test_every_plate_is_done_once_and_in_the_order_of_the_jobs(tmp_path, workers):
    seen = []
    done = by_plate(write_number, jobs(tmp_path), tmp_path / "out", fingerprint=mark, n_plates=5, workers=workers,
                    progress=lambda n, total: seen.append((n, total)))
    assert list(done.folders) == PLATES and not done.failed and not done.kept
    assert [(done.folders[plate] / "number.txt").read_text() for plate in PLATES] == list("01234")
    assert seen == [(n, 5) for n in range(1, 6)]
    assert ran(tmp_path) == list("01234")


def test_a_second_call_does_only_what_is_missing_or_was_made_of_something_else(tmp_path):
    failing = {"P1": {"problem": "no light"}}
    done = by_plate(write_number, jobs(tmp_path, **failing), tmp_path / "out", fingerprint=mark)
    assert done.failed == {"P1": "no light"} and list(done.folders) == ["P0", "P2", "P3", "P4"]
    (tmp_path / "log").unlink()
    again = by_plate(write_number, jobs(tmp_path, P3={"number": 33}), tmp_path / "out", fingerprint=mark)
    assert ran(tmp_path) == ["1", "33"]
    assert again.kept == ["P0", "P2", "P4"]
    assert (again.folders["P3"] / "number.txt").read_text() == "33"


def test_an_interruption_keeps_the_plates_that_are_complete(tmp_path):
    def interrupted(argument, out):
        if argument["number"] == 2:
            (out / "half").touch()
            raise KeyboardInterrupt
        write_number(argument, out)

    with pytest.raises(KeyboardInterrupt):
        by_plate(interrupted, jobs(tmp_path), tmp_path / "out", fingerprint=mark)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(map(name_on_disk, PLATES[:2]))
    by_plate(write_number, jobs(tmp_path), tmp_path / "out", fingerprint=mark)
    assert ran(tmp_path) == list("01234")


def test_a_killed_process_costs_nothing_but_time(tmp_path):
    done = by_plate(write_number, jobs(tmp_path, P2={"die": str(tmp_path / "died")}), tmp_path / "out",
                    fingerprint=mark, workers=2)
    assert (tmp_path / "died").exists()
    assert list(done.folders) == PLATES and not done.failed
    assert sorted(set(ran(tmp_path))) == list("01234")
    assert not list((tmp_path / "out").glob(".*"))


def test_a_plate_that_kills_every_process_is_given_up_and_the_others_are_done(tmp_path):
    deadly = {"P2": {"die": "/nonexistent-folder/never"}}
    with pytest.raises(FileNotFoundError):  # the mark cannot be written: an ordinary error is not swallowed
        by_plate(write_number, jobs(tmp_path, **deadly), tmp_path / "out", fingerprint=mark)
    done = by_plate(kill_always, jobs(tmp_path), tmp_path / "killed", fingerprint=mark, workers=2)
    assert "killed 3 times" in done.failed["P2"]
    assert {"P3", "P4"} <= set(done.folders) | set(done.failed)


def kill_always(argument, out):
    if argument["number"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    write_number(argument, out)


def test_names_on_disk_are_safe_and_differ():
    names = [name_on_disk(plate) for plate in ("a/b", "a_b", "../x", "", "é" * 100)]
    assert len(set(names)) == 5
    assert all("/" not in name and not name.startswith(".") and len(name) < 60 for name in names)


def test_no_scheduler_and_no_worker_are_clear_errors(tmp_path):
    with pytest.raises(DsslBioError, match="at least 1, got 0"):
        by_plate(write_number, jobs(tmp_path), tmp_path / "out", fingerprint=mark, workers=0)
    with pytest.raises(DsslBioError, match="no Dask scheduler answers|dssl-bio.scale"):
        by_plate(write_number, jobs(tmp_path), tmp_path / "out", fingerprint=mark, scheduler="nonsense://x")


@pytest.mark.slow
def test_a_local_cluster_does_the_same_and_survives_the_death_of_a_worker(tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        done = by_plate(write_number, jobs(tmp_path, P2={"die": str(tmp_path / "died")}), tmp_path / "out",
                        fingerprint=mark, scheduler=cluster.scheduler_address)
    assert (tmp_path / "died").exists()
    assert list(done.folders) == PLATES and not done.failed
    assert sorted(set(ran(tmp_path))) == list("01234")
