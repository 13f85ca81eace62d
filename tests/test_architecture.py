"""Who may import whom: the rooms of the house, from the ground up, and the single doors to heavy libraries."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A room may import from its own floor and from those below it; the longest name decides.
FLOORS = [
    ["dssl_bio", "dssl_bio.vocabulary", "dssl_bio.errors", "dssl_bio.config", "dssl_bio.artefact",
     "dssl_bio.processes"],
    ["dssl_bio.chem", "dssl_bio.imaging", "dssl_bio.learning.losses", "dssl_bio.evaluation.metrics"],
    ["dssl_bio.screens"],
    ["dssl_bio.learning"],
    ["dssl_bio.retrieval", "dssl_bio.factors", "dssl_bio.studies"],
    ["dssl_bio.evaluation"],
    ["dssl_bio.pipelines", "dssl_bio.app"],
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
INDEPENDENT = ["dssl_bio.learning.losses", "dssl_bio.evaluation.metrics"]
"""They import nothing of ours but each other's kind."""

DOORS = {
    "rdkit": "dssl_bio.chem",
    "faiss": "dssl_bio.retrieval.index",
    "harmonypy": "dssl_bio.screens.harmony",
    "tifffile": "dssl_bio.imaging",
    "imagecodecs": "dssl_bio.imaging",
    "cellpose": "dssl_bio.imaging",
    "PIL": "dssl_bio.imaging",
    "lightning": "dssl_bio.learning.training",
    "pytorch_lightning": "dssl_bio.learning.training",
    "streamlit": "dssl_bio.app",
    "fastapi": "dssl_bio.app.api",
    "typer": "dssl_bio.pipelines",
    "click": "dssl_bio.pipelines",
    "rich": "dssl_bio.pipelines",
}


def named(path: Path) -> str:
    """The module of a file; the command line and the application are installed below dssl_bio."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] == "dssl_bio" else ("dssl_bio", *parts))


FILES = {named(path): path for top in ("dssl_bio", "pipelines", "app") for path in sorted((ROOT / top).rglob("*.py"))}


@cache
def imports(module: str) -> tuple[str, ...]:
    """Every module that a file imports, wherever in the file: in functions and for type checking too."""
    return tuple(_imports(module))


def _imports(module: str) -> Iterator[str]:
    path = FILES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            # `from package import module` names the module, `from module import thing` does not
            yield from {f"{base}.{alias.name}" if f"{base}.{alias.name}" in FILES else base for alias in node.names}


def ours(module: str) -> list[str]:
    found = (name.replace(top, f"dssl_bio.{top}", 1) if (top := name.split(".")[0]) in ("pipelines", "app") else name
             for name in imports(module))
    return [name for name in found if name.split(".")[0] == "dssl_bio"]


def room_of(module: str) -> str:
    return max((room for room in FLOOR_OF if f"{module}.".startswith(f"{room}.")), key=len)


def lies_in(module: str, place: str) -> bool:
    return f"{module}.".startswith(f"{place}.")


def test_every_file_lies_in_a_room():
    """A new room at the top of the library must be given its floor."""
    stray = [module for module in FILES if room_of(module) == "dssl_bio" and module != "dssl_bio"]
    assert not stray


@pytest.mark.parametrize("room", sorted(FLOOR_OF))
def test_no_arrow_goes_up(room):
    wrong = [f"{module} -> {name}" for module in FILES if room_of(module) == room for name in ours(module)
             if FLOOR_OF[room_of(name)] > FLOOR_OF[room]]
    assert not wrong


def test_rooms_of_one_floor_do_not_import_each_other_in_a_circle():
    arrows = {(room_of(module), room_of(name)) for module in FILES for name in ours(module)}
    circles = [(a, b) for a, b in arrows if a < b and (b, a) in arrows and FLOOR_OF[a] == FLOOR_OF[b]]
    assert not circles


def test_the_command_line_and_the_application_never_meet():
    pairs = (("dssl_bio.pipelines", "dssl_bio.app"), ("dssl_bio.app", "dssl_bio.pipelines"))
    wrong = [f"{module} -> {name}" for here, there in pairs for module in FILES if lies_in(module, here)
             for name in ours(module) if lies_in(name, there)]
    assert not wrong


@pytest.mark.parametrize("room", INDEPENDENT)
def test_losses_and_metrics_import_nothing_of_ours(room):
    wrong = [f"{module} -> {name}" for module in FILES if lies_in(module, room) for name in ours(module)
             if not lies_in(name, room) and name != "dssl_bio.errors"]
    assert not wrong


@pytest.mark.parametrize("library", DOORS)
def test_a_heavy_library_has_one_door(library):
    wrong = [module for module in FILES if not lies_in(module, DOORS[library])
             for name in imports(module) if name.split(".")[0] == library]
    assert not wrong


def test_no_import_hides_in_a_call():
    """importlib and __import__ would get round every rule above."""
    wrong = []
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else (
                node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else "")
            if name in ("import_module", "__import__", "exec", "eval", "run_module") and not _is_torch_eval(node):
                wrong.append(f"{module}: {name}")
    assert not wrong


def _is_torch_eval(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr == "eval"


def loaded_after(program: str) -> set[str]:
    """Names of the top-level modules that a fresh process holds after a program."""
    text = f"{program}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_way_of_a_query_loads_neither_lightning_nor_cellpose():
    asking = [module for module in FILES if lies_in(module, "dssl_bio.app")]
    needed = {name for module in ["dssl_bio.pipelines.retrieve", "dssl_bio.pipelines.serve", *asking]
              for name in ours(module) if not lies_in(name, "dssl_bio.app") and not lies_in(name, "dssl_bio.pipelines")}
    assert "dssl_bio.retrieval.bundle" in needed
    loaded = loaded_after("\n".join(f"import {name}" for name in sorted(needed)))
    assert {"torch", "faiss"} <= loaded
    assert not loaded & {"lightning", "pytorch_lightning", "torchmetrics", "tensorboard", "cellpose", "streamlit"}


def test_help_and_version_load_no_library_that_is_slow_to_load():
    loaded = loaded_after("""
from typer.testing import CliRunner
from pipelines.main import app
runner = CliRunner()
for words in (["--help"], ["--version"], ["retrieve", "--help"], ["train", "--help"], ["simulate", "--help"]):
    assert runner.invoke(app, words).exit_code == 0
""")
    assert not loaded & {"torch", "numpy", "pandas", "rdkit", "lightning", "streamlit", "faiss", "zarr"}
