"""What training tells of its progress."""

import pytest

from dssl_bio.learning.data import PairLoader
from dssl_bio.learning.fit import train
from tests.retrieval.small_bundle import small_config, small_screen


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    return small_screen(tmp_path_factory.mktemp("screen"))


def test_every_minibatch_of_both_steps_is_counted_once_and_a_resumed_run_counts_on(screen, tmp_path, monkeypatch):
    sizes = set()
    length = PairLoader.__len__
    monkeypatch.setattr(PairLoader, "__len__", lambda loader: sizes.add(length(loader)) or length(loader))
    whole, first, second = [], [], []
    train(screen, small_config(), tmp_path / "whole", report=lambda line: None,
          progress=lambda done, total: whole.append((done, total)))
    (n,) = sizes
    assert n > 1
    assert whole == 2 * [(done, 2 * n) for done in range(1, 2 * n + 1)]

    def stop_in_the_second_epoch(done, total):
        first.append((done, total))
        if done == n + 1:
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        train(screen, small_config(), tmp_path / "run", report=lambda line: None, progress=stop_in_the_second_epoch)
    train(screen, small_config(), tmp_path / "run", resume=True, report=lambda line: None,
          progress=lambda done, total: second.append((done, total)))
    assert first == whole[: n + 1]
    assert second == whole[n:]
