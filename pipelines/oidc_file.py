"""The file of secrets that `dssl-bio serve --oidc` is given, checked before a server starts.

What it holds goes to Streamlit by the file's name alone: neither the command line nor a log shows a secret.
"""

import importlib.util
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

NEEDED = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
CALLBACK = "/oauth2callback"
LIMITS = ("emails", "domains", "subjects")
LEAST_SECRET = 32
PACKAGES = ("authlib", "httpx")


def check_oidc_file(path: Path) -> list[str]:
    """Notes for who starts the server.

    Raises:
        DsslBioError: what is missing or wrong, in a sentence.
    """
    from dssl_bio.errors import DsslBioError

    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise DsslBioError(f"signing in needs {' and '.join(missing)}: pip install 'dssl-bio[oidc]'")
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise DsslBioError(f"{path} is not TOML: {cause}") from None
    auth, access = found.get("auth"), found.get("access", {})
    if not isinstance(auth, dict) or (absent := [name for name in NEEDED if not isinstance(auth.get(name), str)]):
        names = NEEDED if not isinstance(auth, dict) else absent
        raise DsslBioError(f"{path}: [auth] must hold {', '.join(names)}")
    if len(auth["cookie_secret"]) < LEAST_SECRET:
        raise DsslBioError(f"{path}: cookie_secret must be random and of at least {LEAST_SECRET} characters, for who "
                           "guesses it is anybody he likes; one is made by "
                           "python -c 'import secrets; print(secrets.token_hex(32))'")
    redirect = urlsplit(auth["redirect_uri"])
    if redirect.scheme not in ("http", "https") or not redirect.path.endswith(CALLBACK):
        raise DsslBioError(f"{path}: redirect_uri must be this server's address followed by {CALLBACK}, such as "
                           f"https://screens.example.org{CALLBACK}, and known to the provider")
    if not isinstance(access, dict) or (unknown := sorted(set(access) - set(LIMITS))) or not all(
            isinstance(value, list) for value in access.values()):
        wrong = unknown if isinstance(access, dict) and unknown else "other values"
        raise DsslBioError(f"{path}: [access] takes lists called {', '.join(LIMITS)}, not {wrong}")
    notes = []
    if not access:
        notes.append("note: everybody whom the provider lets sign in may enter; [access] in the file says who may")
    if redirect.scheme == "http" and redirect.hostname not in ("localhost", "127.0.0.1", "::1"):
        notes.append("note: redirect_uri is http: sessions can be stolen on the wire; put a proxy with TLS in front")
    return notes
