"""Signing in with an OpenID Connect provider, through Streamlit's own `st.login`: nothing is shown before.

`dssl-bio serve --oidc FILE` names Streamlit's file of secrets, whose `[auth]` says who the provider is. An optional
`[access]` beside it says who of those that the provider knows may enter: `emails`, `domains`, `subjects`.
"""

import hashlib
import hmac
import os
import secrets
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

OIDC_VARIABLE = "DSSL_BIO_OIDC_FILE"
_KEY = secrets.token_bytes(32)
"""New at every start: an address of a picture that was passed on opens nothing tomorrow."""


def required() -> bool:
    """Whether this server asks everybody to sign in."""
    return bool(os.environ.get(OIDC_VARIABLE))


@cache
def access() -> dict[str, Any]:
    """The `[access]` table; empty where everybody that the provider knows may enter."""
    text = Path(os.environ[OIDC_VARIABLE]).read_text(encoding="utf-8")
    return dict(tomllib.loads(text).get("access", {}))


def may_enter(claims: Mapping[str, Any], allowed: Mapping[str, Any]) -> bool:
    """Whether somebody with these claims may enter.

    An address that the provider says is not verified counts for nothing. `sub`, which nobody can choose, is the safe
    way with a provider that lets its users write their own address.
    """
    if not allowed:
        return True
    if str(claims.get("sub", "")) in map(str, allowed.get("subjects", [])):
        return True
    address = str(claims.get("email") or "").casefold()
    if "@" not in address or str(claims.get("email_verified", True)).casefold() == "false":
        return False
    return (address in {str(one).casefold() for one in allowed.get("emails", [])}
            or address.rpartition("@")[2] in {str(one).casefold().lstrip("@") for one in allowed.get("domains", [])})


def gate() -> None:
    """Stops the page of who has not signed in or may not enter; offers everybody else to sign out."""
    if not required():
        return
    if not st.user.is_logged_in:
        st.title("DSSL-Bio", anchor=False)
        st.markdown("This server shows its screens to people who have signed in.")
        st.button("Sign in", type="primary", on_click=st.login, icon=":material/login:")
        st.stop()
    claims = st.user.to_dict()
    name = str(claims.get("email") or claims.get("name") or claims.get("sub") or "somebody")
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="small"):
        st.caption(_plain(name), width="content")
        st.button("Sign out", type="tertiary", on_click=st.logout, icon=":material/logout:")
    if not may_enter(claims, access()):
        st.error("You have signed in, but may not use this server. Ask who runs it to let you in.")
        st.stop()


def pass_of(bundle: str, number: int | str) -> str:
    """What a picture's address carries where people sign in: only pages make it, and only who signed in sees those."""
    return hmac.new(_KEY, f"{bundle}/{number}".encode(), hashlib.sha256).hexdigest()[:32] if required() else ""


def has_pass(bundle: str, number: str, given: str) -> bool:
    """Whether a picture may be given to who asks with this."""
    return not required() or hmac.compare_digest(given.encode(), pass_of(bundle, number).encode())


def _plain(text: str) -> str:
    from dssl_bio.app.words import plain, shortened

    return plain(shortened(text))
