"""`dssl-bio serve`: the application in a browser."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tomllib
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

from .common import INTERRUPTED, QUIET, SEED, USER_ERROR, command, reporter

FIRST_PORT, TRIED_PORTS = 8501, 50
LOCAL = ("127.0.0.1", "localhost", "::1")
BUNDLES_VARIABLE, HOSTS_VARIABLE = "DSSL_BIO_BUNDLES", "DSSL_BIO_HOSTS"
PASSWORD_VARIABLE, OIDC_VARIABLE = "DSSL_BIO_PASSWORD_FILE", "DSSL_BIO_OIDC_FILE"
MIN_PASSWORD = 8


@command
def serve(
    bundles: list[Path] = typer.Argument(..., metavar="BUNDLE...", help="Bundle folders made by `dssl-bio index`."),
    port: int | None = typer.Option(None, "--port", min=1, max=65535, help="The first free one from 8501 by default."),
    host: str = typer.Option("127.0.0.1", "--host", help="Address to listen on; 0.0.0.0 opens it to the network."),
    no_browser: bool = typer.Option(False, "--no-browser", help="Do not open a browser."),
    api: bool = typer.Option(False, "--api", help="Serve the HTTP interface for programs in place of the pages."),
    password_file: Path | None = typer.Option(
        None, "--password-file", help="A file with the password that everybody is asked for."),
    oidc: Path | None = typer.Option(
        None, "--oidc", metavar="SECRETS_FILE",
        help="Have everybody sign in with an OpenID Connect provider: a TOML file with Streamlit's [auth] and, for who "
             "may enter, [access]."),
    seed: int = SEED,
    quiet: bool = QUIET,
) -> int:
    """Serve bundles as an application in the browser, on this machine only unless --host says otherwise.

    Nothing here is random: --seed changes nothing and is taken because every command
    takes it.

    Example: dssl-bio serve bundles/mine
    Example: dssl-bio serve bundles/mine --api --port 8600
    """
    return serve_bundles(bundles, port, host, no_browser, reporter(quiet), api=api, password_file=password_file,
                         oidc=oidc)


def serve_bundles(bundles: list[Path], port: int | None, host: str, no_browser: bool,
                  report: Callable[[str], None], *, api: bool = False, password_file: Path | None = None,
                  oidc: Path | None = None) -> int:
    """Serves until Ctrl-C; the exit status."""
    from dssl_bio.artefact import read_record
    from dssl_bio.errors import DsslBioError

    for bundle in bundles:
        read_record(bundle, "bundle")
    if password_file is not None and len(password_file.read_text("utf-8", "replace").strip()) < MIN_PASSWORD:
        raise DsslBioError(f"{password_file}: a password has at least {MIN_PASSWORD} characters")
    notes = _sign_in(oidc, api, password_file)
    if port is None:
        port = _free_port(host)
    elif not _is_free(host, port):
        raise DsslBioError(f"port {port} of {host} is in use; choose another with --port")
    address = f"http://{'localhost' if host in LOCAL or host == '0.0.0.0' else host}:{port}"
    what = ", ".join(str(bundle) for bundle in bundles)
    report(f"serving {what} at {address} (Ctrl-C ends it)" + (f"; described at {address}/docs" if api else ""))
    for note in notes:
        report(note)
    if host not in LOCAL and password_file is None and oidc is None:
        report(f"note: everybody who reaches {host}:{port} can query these bundles; see --password-file and --oidc")
    if not no_browser and not api:
        webbrowser.open(address)
    # A page of another site may call a server on one's own machine by a name that it made point there
    hosts = ",".join(LOCAL[:2]) if host in LOCAL[:2] else ""
    return _run(api_command(host, port) if api else streamlit_command(host, port, oidc), bundles,
                {HOSTS_VARIABLE: hosts, PASSWORD_VARIABLE: str(password_file.resolve()) if password_file else "",
                 OIDC_VARIABLE: str(oidc.resolve()) if oidc else ""})


def _sign_in(oidc: Path | None, api: bool, password_file: Path | None) -> list[str]:
    """Checks that people can sign in, where they shall; what there is to note."""
    from dssl_bio.pipelines.oidc_file import check_oidc_file

    from dssl_bio.errors import DsslBioError

    if oidc is None:
        return []
    if api:
        raise DsslBioError("--oidc is for people in a browser; programs take --password-file")
    if password_file is not None:
        raise DsslBioError("give --oidc or --password-file, not both")
    return check_oidc_file(oidc)


def api_command(host: str, port: int) -> list[str]:
    """The command line that starts the interface for programs."""
    return [sys.executable, "-m", "uvicorn", "dssl_bio.app.api.server:application", "--factory", "--host", host,
            "--port", str(port), "--log-level", "warning", "--no-server-header"]


def streamlit_command(host: str, port: int, oidc: Path | None = None) -> list[str]:
    """The command line that starts the server with our settings, wherever the package is installed."""
    spec = importlib.util.find_spec("dssl_bio.app")
    assert spec is not None and spec.origin is not None
    folder = Path(spec.origin).parent
    settings = tomllib.loads((folder / "settings.toml").read_text(encoding="utf-8"))
    flags = [f"--{name}={_text(value)}" for name, value in _flat(settings)]
    return [sys.executable, "-m", "streamlit", "run", str(folder / "server.py"), f"--server.address={host}",
            f"--server.port={port}", *flags, *([f"--secrets.files={oidc.resolve()}"] if oidc else [])]


def _run(line: list[str], bundles: list[Path], settings: dict[str, str]) -> int:
    """Runs the server until it ends or Ctrl-C is pressed."""
    paths = os.pathsep.join(str(bundle.resolve()) for bundle in bundles)
    # Torch threads that wait for each other are slower than one when several people ask at once.
    environment = {"OMP_NUM_THREADS": "1", **os.environ, **settings, BUNDLES_VARIABLE: paths}
    server = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        return USER_ERROR if server.wait() not in (0, -signal.SIGTERM) else 0
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        return INTERRUPTED


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _free_port(host: str) -> int:
    from dssl_bio.errors import DsslBioError

    for port in range(FIRST_PORT, FIRST_PORT + TRIED_PORTS):
        if _is_free(host, port):
            return port
    raise DsslBioError(f"no free port from {FIRST_PORT} to {FIRST_PORT + TRIED_PORTS - 1}; choose one with --port")


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
