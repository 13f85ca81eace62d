"""Who may enter where people sign in, and what is given to who has not."""

from pathlib import Path

import pytest
from dssl_bio.app import login
from streamlit.testing.v1 import AppTest

MAIN = str(Path("app/main.py").resolve())
ALLOWED = {"emails": ["Ann@Lab.org"], "domains": ["@uni.edu"], "subjects": ["42"]}


@pytest.fixture
def signing_in(tmp_path, monkeypatch):
    (tmp_path / "secrets.toml").write_text('[access]\ndomains = ["uni.edu"]\n')
    monkeypatch.setenv(login.OIDC_VARIABLE, str(tmp_path / "secrets.toml"))
    login.access.cache_clear()
    yield monkeypatch
    login.access.cache_clear()


class User:
    """Stands for `st.user`."""

    def __init__(self, **claims):
        self.claims, self.is_logged_in = claims, bool(claims)

    def to_dict(self):
        return self.claims


@pytest.mark.parametrize(("claims", "enters"), [
    ({"email": "ann@lab.ORG"}, True), ({"email": "bob@lab.org"}, False), ({"email": "x@uni.edu"}, True),
    ({"email": "x@sub.uni.edu"}, False), ({"email": "x@uni.edu.evil.org"}, False), ({"email": "uni.edu"}, False),
    ({"email": "x@uni.edu", "email_verified": False}, False),
    ({"email": "x@uni.edu", "email_verified": "false"}, False),
    ({"email": "x@uni.edu", "email_verified": True}, True), ({"sub": "42"}, True), ({"sub": "4"}, False),
    ({"email": None}, False), ({}, False),
])
def test_who_may_enter(claims, enters):
    assert login.may_enter(claims, ALLOWED) == enters
    assert login.may_enter(claims, {})


def words_of(test):
    return " ".join(str(element.value) for kind in ("markdown", "error", "title", "caption")
                    for element in test.get(kind))


@pytest.mark.parametrize(("user", "seen", "button"), [
    (User(), "people who have signed in", "Sign in"),
    (User(email="x@elsewhere.org"), "may not use this server", "Sign out"),
    (User(email="<b>x@uni.edu"), "Which of the phenotypes", "Sign out"),
], ids=["nobody", "somebody else", "one of ours"])
def test_a_page_is_shown_to_who_may_enter_and_to_nobody_else(user, seen, button, signing_in, profile_bundle):
    signing_in.setenv("DSSL_BIO_BUNDLES", str(profile_bundle))
    signing_in.setattr("streamlit.user", user)
    test = AppTest.from_file(MAIN, default_timeout=60).run()
    assert not test.exception
    shown = words_of(test)
    assert seen in shown
    assert button in [one.label for one in test.button]
    inside = seen.startswith("Which")
    assert ("Molecule to phenotypes" in shown) == inside
    assert bool(test.text_input) == inside
    assert "<b>" not in shown


def test_a_picture_needs_what_only_a_page_tells(signing_in):
    told = login.pass_of("bundle", 3)
    assert login.has_pass("bundle", "3", told)
    for bundle, number, given in (("bundle", "4", told), ("other", "3", told), ("bundle", "3", ""),
                                  ("bundle", "3", "é")):
        assert not login.has_pass(bundle, number, given)
    signing_in.delenv(login.OIDC_VARIABLE)
    assert login.has_pass("bundle", "3", "")
    assert login.pass_of("bundle", 3) == ""
