"""Work that nobody waits for."""

import threading

import pytest
from dssl_bio.app import resources, words
from dssl_bio.app.later import Later

from dssl_bio.retrieval.applicability import Trained


def test_it_is_made_once_and_there_when_it_is_done():
    go, made = threading.Event(), []
    later = Later(lambda: go.wait(10) and made.append(1) or len(made))
    assert later.value(0.02) is None
    go.set()
    assert later.value(10) == 1
    assert later.value(0) == 1


def test_what_went_wrong_is_told_to_everybody_who_asks():
    later = Later(lambda: 1 / 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            later.value(10)


def test_an_answer_does_not_wait_for_the_comparison_and_tells_it_afterwards(profile_bundle, monkeypatch):
    go, of = threading.Event(), Trained.of
    resources.comparing.clear()
    resources._trust.clear()
    monkeypatch.setattr("dssl_bio.app.later.Later.value.__defaults__", (0.02,))
    monkeypatch.setattr(Trained, "of", lambda library: go.wait(20) and of(library))
    asked = str(profile_bundle), "CCO", "LFQSCWFLJHTTHZ-UHFFFAOYSA-N"
    assert resources.trust(*asked) == (words.COMPARING, "")
    go.set()
    assert resources.trained(asked[0]).places.size
    assert "training molecules** (Tanimoto" in resources.trust(*asked)[0]
