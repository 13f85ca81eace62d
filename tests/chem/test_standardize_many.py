import time

from dssl_bio.chem import standardize_many as module
from dssl_bio.chem.standardize import Molecule, standardize
from dssl_bio.chem.standardize_many import standardize_many
from dssl_bio.errors import MoleculeError

TEXTS = ["CCO", "c1ccccc1O", "not a molecule", "CCO", "[Na+].CC(=O)[O-]", "C" * 3000, "", "CCO |c:1|"]


def test_gives_what_one_at_a_time_gives():
    found = standardize_many(TEXTS, n_workers=2)
    assert list(found) == list(dict.fromkeys(TEXTS))
    for text, outcome in found.items():
        try:
            assert outcome == standardize(text)
        except MoleculeError as problem:
            assert str(outcome) == str(problem)


def test_a_text_that_hangs_is_refused_and_the_others_are_not(tmp_path, monkeypatch):
    # A stand-in for the worker's program that hangs on one text and dies on another
    (tmp_path / "sitecustomize.py").write_text("""
import time, os, sys
import dssl_bio.chem.standardize as module
real = module.standardize
def slow(text):
    if text == "CCC":
        time.sleep(60)
    if text == "CCCC":
        os._exit(3)
    return real(text)
module.standardize = slow
""")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    start = time.monotonic()
    found = standardize_many(["CC", "CCC", "CCCC", "CCCCC"], time_limit_s=1.0, n_workers=1)
    assert time.monotonic() - start < 30
    assert "longer than 1 s" in str(found["CCC"])
    assert "crash" in str(found["CCCC"])
    assert isinstance(found["CC"], Molecule)
    assert isinstance(found["CCCCC"], Molecule)


def test_progress_ends_with_all(monkeypatch):
    seen = []
    standardize_many(["C", "CC"], progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2, 2)
    assert module.standardize_many([]) == {}


def test_a_pool_answers_in_order_and_with_the_features_that_the_library_computes():
    from dssl_bio.chem.features import molecule_features
    from dssl_bio.chem.standardize_many import Question, Standardizer

    texts = [f"{'C' * (1 + i % 40)}O" for i in range(300)]
    for needs in (frozenset({"graph", "fingerprint"}), frozenset({"kernels"})):
        with Standardizer(2) as pool:
            first = list(pool.featurized(map(Question, texts), needs))
            again = list(pool.standardized(map(Question, reversed(texts))))
        assert [item.molecule for item in first] == [standardize(text) for text in texts] == again[::-1]
        for item in first[:40]:
            expected = molecule_features(item.molecule, needs)
            assert (item.features.graph is None) == ("graph" not in needs)
            for got, wanted in zip((*(item.features.graph or ()), item.features.vector),
                                   (*(expected.graph or ()), expected.vector), strict=True):
                assert (got == wanted).all() and got.shape == wanted.shape


def test_a_pool_reads_no_more_questions_than_it_can_hold():
    from dssl_bio.chem.standardize_many import Question, Standardizer

    asked = 0

    def questions():
        nonlocal asked
        for _ in range(10_000):
            asked += 1
            yield Question("C")

    with Standardizer(1) as pool:
        answers = pool.standardized(questions())
        next(answers)
        assert asked < 1_000
        answers.close()


def test_texts_longer_than_the_pipe_are_answered():
    texts = ["C" * 200_000, "CCO", "N" * 150_000, "CO"]
    found = standardize_many(texts, n_workers=1)
    assert "characters" in str(found[texts[0]]) and "characters" in str(found[texts[2]])
    assert isinstance(found["CO"], Molecule)
