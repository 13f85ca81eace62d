"""What lands in site-packages when a checkout is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which a copy of the tracked files was installed without its requirements."""
    source, target = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("site")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    offline = [] if _can_fetch() else ["--no-build-isolation"]
    done = subprocess.run([sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", *offline, "--target",
                           str(target), f"{source}[cpu]"], capture_output=True, text=True, check=False)
    if done.returncode and "setuptools" in done.stderr:
        pytest.skip(f"the build back end cannot be had here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return target


def _can_fetch():
    """Setuptools in the environment is enough to build without fetching anything."""
    try:
        import setuptools
    except ImportError:
        return True
    return int(setuptools.__version__.split(".")[0]) < 77


def run(installed, *words):
    """The installed command, away from the checkout."""
    return subprocess.run([sys.executable, "-P", "-c", "from dssl_bio.pipelines.main import main; main()", *words],
                          cwd=installed, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(installed)})


@pytest.mark.slow
def test_no_package_with_a_common_name_is_left_at_the_top(installed):
    names = {path.name for path in installed.iterdir() if path.suffix != ".dist-info" and path.name != "bin"}
    assert names == {"dssl_bio"}
    assert (installed / "bin" / "dssl-bio").is_file()


@pytest.mark.slow
def test_every_module_manifest_and_setting_is_there(installed):
    package = installed / "dssl_bio"
    for top, there in (("dssl_bio", package), ("pipelines", package / "pipelines"), ("app", package / "app"),
                       ("data_manifests", package / "data_manifests")):
        wanted = {path.relative_to(ROOT / top) for path in (ROOT / top).rglob("*")
                  if path.suffix in (".py", ".toml", ".md", ".html") and _tracked(path)}
        missing = {str(path) for path in wanted if not (there / path).is_file()}
        assert not missing, f"{top}: add to [tool.setuptools] of pyproject.toml"


def _tracked(path):
    return subprocess.run(["git", "ls-files", "--error-unmatch", str(path)], cwd=ROOT, capture_output=True,
                          check=False).returncode == 0


@pytest.mark.slow
def test_the_installed_command_says_its_version_and_finds_its_application(installed):
    from dssl_bio import __version__

    assert run(installed, "--version").stdout == f"dssl-bio {__version__}\n"
    done = run(installed, "retrieve", "nothing", "--smiles", "CCO")
    assert done.returncode == 1
    assert "error: expected a bundle folder" in done.stderr
    where = subprocess.run([sys.executable, "-P", "-c", "import dssl_bio.app as a; print(a.__file__)"], cwd=installed,
                           capture_output=True, text=True, check=True,
                           env={**os.environ, "PYTHONPATH": str(installed)}).stdout
    assert where.startswith(str(installed))
