import socket

import pytest
from typer.testing import CliRunner

from pipelines.main import app
from pipelines.serve import streamlit_command


def test_the_server_listens_on_this_machine_with_protection_and_without_statistics():
    line = streamlit_command("127.0.0.1", 8765)
    assert "--server.address=127.0.0.1" in line
    assert "--server.port=8765" in line
    assert "--server.enableXsrfProtection=true" in line
    assert "--browser.gatherUsageStats=false" in line
    assert any(flag.startswith("--server.maxUploadSize=") for flag in line)


def test_what_is_no_bundle_is_refused_before_a_server_starts(tmp_path):
    result = CliRunner().invoke(app, ["serve", str(tmp_path / "nothing"), "--no-browser"])
    assert result.exit_code == 1
    assert "does not exist" in result.output


@pytest.fixture
def taken_port():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_port_in_use_is_named(tmp_path, taken_port):
    (tmp_path / "bundle.json").write_text('{"kind": "bundle", "schema_version": 1, "files": {}}')
    result = CliRunner().invoke(app, ["serve", str(tmp_path), "--port", str(taken_port), "--no-browser"])
    assert result.exit_code == 1
    assert f"port {taken_port}" in result.output
