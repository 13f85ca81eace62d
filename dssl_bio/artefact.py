"""What every artefact folder has in common: one JSON that says what made it, checksums, and a birth in one piece."""

import hashlib
import json
import os
import platform
import shutil
import signal
import stat
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from dssl_bio import __version__
from dssl_bio.errors import BundleError, DsslBioError, EvaluationError, RunError, ScreenError

Kind = Literal["screen", "run", "bundle", "decoder", "evaluation", "benchmark", "counterfactuals", "factors",
               "crops"]

SCHEMA_VERSION: dict[Kind, int] = {"screen": 1, "run": 1, "bundle": 1, "decoder": 1, "evaluation": 1, "benchmark": 1,
                                  "counterfactuals": 1, "factors": 1, "crops": 1}
MAKER: dict[Kind, str] = {"screen": "dssl-bio ingest", "run": "dssl-bio train", "bundle": "dssl-bio index",
                          "decoder": "dssl-bio decode", "evaluation": "dssl-bio evaluate",
                          "benchmark": "dssl-bio benchmark", "counterfactuals": "dssl-bio counterfactual --evaluate",
                          "factors": "dssl-bio factors", "crops": "dssl-bio images crops"}
ERROR: dict[Kind, type[DsslBioError]] = {"screen": ScreenError, "run": RunError, "bundle": BundleError,
                                         "decoder": BundleError, "evaluation": EvaluationError,
                                         "benchmark": EvaluationError, "counterfactuals": EvaluationError,
                                         "factors": EvaluationError, "crops": ScreenError}

_PACKAGES = ("torch", "torch-geometric", "rdkit", "numpy", "pandas", "scikit-learn", "scikit-image")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside the wanted one, renamed to it when the block ends well and removed otherwise.

    Works for a file and for a folder (make the folder yourself). A command that fails or is interrupted leaves the old
    state or the new, and so does one that is killed, but for a folder that replaces another: that takes two renames,
    and a kill between them leaves the old folder whole in `.<name>.*/retired` beside.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    place = None
    try:
        with undisturbed():
            place = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        temporary = place / path.name
        yield temporary
        with undisturbed():
            if path.is_dir():
                exchange(temporary, path, place / "retired")
            else:
                os.replace(temporary, path)
    finally:
        with undisturbed():
            if place is not None:
                shutil.rmtree(place, ignore_errors=True)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C waits until the block ends, so that what it does is done whole; outside the main thread it never comes."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is None:
        yield
        return
    came = []
    signal.signal(signal.SIGINT, lambda *_: came.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


def exchange(new: Path, old: Path, retired: Path) -> None:
    """Puts a new folder in the place of an old one, which is renamed to `retired` and comes back if that fails."""
    old.rename(retired)
    try:
        os.replace(new, old)
    except OSError:
        retired.rename(old)
        raise


@contextmanager
def new_folder(folder: Path, kind: Kind, *, replace: bool = True) -> Iterator[Path]:
    """An empty temporary folder that becomes the artefact when the block ends well.

    Raises:
        DsslBioError: the target exists and is not an artefact of this kind (it is never overwritten).
    """
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        if not replace or not (folder / f"{kind}.json").is_file():
            raise ERROR[kind](f"{folder} exists and is not a {kind} folder that may be replaced; choose another place")
    with written_whole(folder) as temporary:
        temporary.mkdir()
        yield temporary


def seal(folder: Path, kind: Kind, made_from: dict[str, Any], *, command: str | None = None,
         known: dict[str, str] | None = None, **facts: Any) -> dict[str, Any]:
    """Writes `<kind>.json`: schema version, maker, versions, what it was made from, facts, and all files' checksums.

    `command` says what made it, where that is not the kind's usual command. `known` are checksums of large files, by
    their relative names, that were computed while these were written.

    All files get the permissions of a new file, so that another account can read an artefact where the umask lets it.
    """
    record = {
        "kind": kind,
        "schema_version": SCHEMA_VERSION[kind],
        "made_by": {**_maker(kind), **({"command": command} if command else {})},
        "made_from": made_from,
        **facts,
        "files": checksums(folder, skip=(f"{kind}.json",), known=known or {}),
    }
    write_json(folder / f"{kind}.json", record)
    _permit_as(folder / f"{kind}.json", folder)
    return record


def _permit_as(model: Path, folder: Path) -> None:
    """Gives all files below a folder the permissions of one; safetensors makes its files for the owner alone."""
    wanted = stat.S_IMODE(model.stat().st_mode)
    for path in folder.rglob("*"):
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) != wanted:
            path.chmod(wanted)


def read_record(folder: Path, kind: Kind) -> dict[str, Any]:
    """The artefact's JSON, after its form, kind and schema version were checked.

    Raises:
        DsslBioError: of the kind's class: not such a folder, damaged, or of another schema version.
    """
    error = ERROR[kind]
    path = folder / f"{kind}.json"
    if not path.is_file():
        found = [k for k in SCHEMA_VERSION if (folder / f"{k}.json").is_file()]
        what = f"is a {found[0]} folder" if found else _what_is_there(folder, path.name)
        raise error(f"expected a {kind} folder made by `{MAKER[kind]}`, but {folder} {what}")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as cause:
        raise error(f"{path} is damaged: {cause}; make the {kind} again with `{MAKER[kind]}`") from cause
    problem = _malformed(record, kind)
    if problem:
        raise error(f"{path} is damaged: {problem}; make the {kind} again with `{MAKER[kind]}`")
    if record["schema_version"] != SCHEMA_VERSION[kind]:
        raise error(f"{folder} has schema version {record['schema_version']}, this program reads "
                    f"{SCHEMA_VERSION[kind]}; make it again with `{MAKER[kind]}`")
    return dict(record)


def _what_is_there(folder: Path, record: str) -> str:
    if folder.is_dir():
        return f"has no {record}"
    return "is a file" if folder.exists() else "does not exist"


def _malformed(record: Any, kind: Kind) -> str:
    """What a record lacks of what every one has; empty when it lacks nothing."""
    if not isinstance(record, dict):
        return "it holds no JSON object"
    missing = [key for key in ("kind", "schema_version", "files") if key not in record]
    if missing:
        return f"it lacks {' and '.join(missing)}"
    if record["kind"] != kind:
        return f"it is the record of a {record['kind']}"
    files = record["files"]
    if not isinstance(files, dict) or not all(isinstance(value, str) for value in files.values()):
        return "files is not a table of names and checksums"
    return ""


def require_files(folder: Path, kind: Kind, record: dict[str, Any]) -> None:
    """Checks that every file which a record names is there; unlike `verify` it reads none of them.

    Raises:
        DsslBioError: a file is missing.
    """
    for name in record["files"]:
        if not os.path.isfile(os.path.join(folder, name)):
            raise ERROR[kind](f"{folder}: {name} is missing; make the {kind} again with `{MAKER[kind]}`")


def verify(folder: Path, kind: Kind) -> dict[str, Any]:
    """The artefact's JSON, after every file it names was found with its checksum.

    Raises:
        DsslBioError: a file is missing or was changed.
    """
    record = read_record(folder, kind)
    require_files(folder, kind, record)
    for name, expected in record["files"].items():
        if checksum(folder / name) != expected:
            raise ERROR[kind](f"{folder}: {name} was changed or damaged after it was written (checksum differs)")
    return record


def identity(record: dict[str, Any]) -> str:
    """Twelve characters that name an artefact by its content."""
    text = json.dumps([record["kind"], record["schema_version"], record["files"]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(folder: Path, skip: tuple[str, ...] = (), known: dict[str, str] | None = None) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its relative name; those that are `known` are not read."""
    names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))
             if path.is_file() and path.name not in skip}
    return {name: (known or {}).get(name) or checksum(path) for name, path in names.items()}


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically."""
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def require_disk(folder: Path, n_bytes: int) -> str:
    """A line that says how much will be written, after it was checked that it fits.

    Raises:
        DsslBioError: the disk has less room than that.
    """
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if n_bytes > free:
        raise DsslBioError(f"{folder} needs about {_size(n_bytes)} and the disk has {_size(free)} left")
    return f"about {_size(n_bytes)} will be written to {folder} ({_size(free)} free)"


def _maker(kind: Kind) -> dict[str, Any]:
    created = datetime.now(UTC).isoformat("T", "seconds")
    return {"command": MAKER[kind], "created": created, "dssl_bio": __version__,
            "python": platform.python_version(), "packages": _versions()}


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    found["platform"] = sys.platform
    return found
