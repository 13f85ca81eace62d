import socket

import pytest
from typer.testing import CliRunner

from pipelines import serve
from pipelines.main import app
from pipelines.serve import HOSTS_VARIABLE, OIDC_VARIABLE, PASSWORD_VARIABLE, api_command, streamlit_command


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


@pytest.fixture
def started(tmp_path, monkeypatch):
    """What would be started: its command line and its settings."""
    calls = []
    (tmp_path / "bundle.json").write_text('{"kind": "bundle", "schema_version": 1, "files": {}}')
    monkeypatch.setattr(serve, "_run", lambda line, bundles, settings: calls.append((line, settings)) or 0)

    def serving(*words):
        result = CliRunner().invoke(app, ["serve", str(tmp_path), "--no-browser", *words])
        assert result.exit_code == 0, result.output
        return *calls[-1], result.output

    return serving


def test_the_interface_for_programs_answers_to_this_machines_names_alone(started):
    line, settings, output = started("--api")
    assert "dssl_bio.app.api.server:application" in line
    assert line[line.index("--host") + 1] == "127.0.0.1"
    assert settings[HOSTS_VARIABLE].split(",") == ["127.0.0.1", "localhost"]
    assert settings[PASSWORD_VARIABLE] == ""
    assert "/docs" in output
    assert started("--api", "--host", "0.0.0.0")[1][HOSTS_VARIABLE] == ""
    assert api_command("::1", 1)[-3:] == ["--log-level", "warning", "--no-server-header"]


def test_who_opens_it_to_the_network_without_a_password_is_told(started, tmp_path):
    assert "see --password-file" in started("--host", "0.0.0.0")[2]
    (tmp_path / "word").write_text("open sesame\n")
    _, settings, output = started("--host", "0.0.0.0", "--password-file", str(tmp_path / "word"))
    assert settings[PASSWORD_VARIABLE] == str(tmp_path / "word")
    assert "--password-file" not in output


@pytest.mark.parametrize(("content", "message"), [(b"short\n", "at least 8 characters"), (None, "No such file")])
def test_a_password_that_is_none_is_refused(content, message, tmp_path):
    (tmp_path / "bundle.json").write_text('{"kind": "bundle", "schema_version": 1, "files": {}}')
    if content:
        (tmp_path / "word").write_bytes(content)
    result = CliRunner().invoke(app, ["serve", str(tmp_path), "--password-file", str(tmp_path / "word")])
    assert result.exit_code == 1
    assert message in result.output


GOOD = ('[auth]\nredirect_uri = "https://screens.example.org/oauth2callback"\ncookie_secret = "{}"\n'
        'client_id = "a"\nclient_secret = "b"\nserver_metadata_url = "https://id.example.org/x"\n').format("s" * 40)


@pytest.fixture
def with_packages(monkeypatch):
    """As if the packages for signing in were installed."""
    monkeypatch.setattr("dssl_bio.pipelines.oidc_file.PACKAGES", ())


def test_signing_in_is_told_to_the_server_by_the_files_name_alone(started, with_packages, tmp_path):
    file = tmp_path / "secrets.toml"
    file.write_text(GOOD + '[access]\ndomains = ["example.org"]\n')
    line, settings, output = started("--host", "0.0.0.0", "--oidc", str(file))
    assert f"--secrets.files={file}" in line
    assert settings[OIDC_VARIABLE] == str(file)
    assert "note:" not in output
    assert not any("ssss" in word for word in [*line, *settings.values(), output])
    file.write_text(GOOD)
    assert "everybody whom the provider lets sign in" in started("--oidc", str(file))[2]
    assert started()[1][OIDC_VARIABLE] == ""


@pytest.mark.parametrize(("text", "message"), [
    ("[auth", "is not TOML"), ("[other]\n", "[auth] must hold redirect_uri"),
    (GOOD.replace('client_id = "a"\n', ""), "[auth] must hold client_id"),
    (GOOD.replace("s" * 40, "short"), "cookie_secret must be random"),
    (GOOD.replace("/oauth2callback", "/"), "redirect_uri must be"),
    (GOOD + '[access]\ndomain = ["x"]\n', "not ['domain']"),
    (GOOD + '[access]\nemails = "x"\n', "[access] takes lists"),
])
def test_a_file_with_which_nobody_could_sign_in_is_refused(text, message, with_packages, tmp_path):
    (tmp_path / "bundle.json").write_text('{"kind": "bundle", "schema_version": 1, "files": {}}')
    (tmp_path / "secrets.toml").write_text(text)
    result = CliRunner().invoke(app, ["serve", str(tmp_path), "--oidc", str(tmp_path / "secrets.toml")])
    assert result.exit_code == 1
    assert message in result.output


def test_signing_in_is_for_pages_and_in_place_of_a_password(tmp_path):
    (tmp_path / "bundle.json").write_text('{"kind": "bundle", "schema_version": 1, "files": {}}')
    (tmp_path / "secrets.toml").write_text(GOOD)
    (tmp_path / "word").write_text("open sesame\n")
    start = ["serve", str(tmp_path), "--oidc", str(tmp_path / "secrets.toml")]
    for more, message in ((["--api"], "programs take --password-file"),
                          (["--password-file", str(tmp_path / "word")], "not both")):
        result = CliRunner().invoke(app, [*start, *more])
        assert result.exit_code == 1
        assert message in result.output
