"""The folder where a run lies until it is complete, and how it takes the place of an older one."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from dssl_bio.artefact import checksum, exchange, identity, read_record, undisturbed, write_json
from dssl_bio.errors import RunError
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.run import CONFIG

PLAN = "plan.json"


def unfinished(folder: Path) -> Path:
    """Where a run lies until it is complete."""
    return folder.with_name(folder.name + ".partial")


def workplace(folder: Path, config: TrainConfig, screen_id: str, resume: bool, report: Callable[[str], None]) -> Path:
    """An empty or a resumable working folder; says no before hours of work rather than after.

    Args:
        folder: the run that will be written.
        config: as it was asked for.
        screen_id: of the training data.
        resume: go on with what lies in `<folder>.partial`.
        report: is told when work that could be resumed is thrown away.

    Raises:
        RunError: the target or `<folder>.partial` is something of the user's, there is nothing to resume, or it was
            begun with another screen or configuration.
    """
    _refuse_what_is_no_run(folder)
    work = unfinished(folder)
    plan = {"config": config.model_dump(mode="json", by_alias=True), "screen": screen_id,
            "folds": checksum(Path(config.split.file)) if config.split.file else None,
            "start": identity(read_record(Path(config.start), "run")) if config.start else None}
    if resume:
        _require_same(work, plan)
        return work
    _clear(work, report)
    work.mkdir(parents=True)
    write_json(work / PLAN, plan)
    write_json(work / CONFIG, plan["config"])
    return work


def move_into_place(work: Path, folder: Path) -> None:
    """Renames a finished run to its name; an older run is put aside, comes back if that fails, and is then removed.

    A kill between the two renames leaves both whole: the new run in `work`, the old one in `.<name>.*/retired`.

    Raises:
        RunError: meanwhile something that is no run was put there.
    """
    _refuse_what_is_no_run(folder)
    with undisturbed():
        if not folder.exists():
            os.replace(work, folder)
            return
        place = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            exchange(work, folder, place / "retired")
        except OSError:
            with suppress(OSError):  # not empty when the old run could not come back: it stays there
                place.rmdir()
            raise
        shutil.rmtree(place, ignore_errors=True)


def _refuse_what_is_no_run(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        read_record(folder, "run")


def _require_same(work: Path, plan: dict[str, Any]) -> None:
    if not (work / PLAN).is_file():
        raise RunError(f"nothing to resume: {work} " + ("holds no training" if work.exists() else "does not exist"))
    try:
        before = json.loads((work / PLAN).read_text(encoding="utf-8"))
    except ValueError as cause:
        raise RunError(f"{work / PLAN} is damaged: {cause}; start anew without --resume") from cause
    if before != plan:
        raise RunError(f"{work} was begun with another screen or configuration; resume with the same, "
                       f"or start anew without --resume")


def _clear(work: Path, report: Callable[[str], None]) -> None:
    """Removes a training that was stopped, and nothing that a user may have put there."""
    if not work.exists():
        return
    if not work.is_dir() or (any(work.iterdir()) and not (work / PLAN).is_file()):
        raise RunError(f"{work}, where the run would lie until it is complete, exists and holds no training; "
                       "move it away or choose another place")
    if any(work.glob("step_*_state")):
        report(f"what a stopped training left in {work} is thrown away (--resume would have continued it)")
    shutil.rmtree(work)
