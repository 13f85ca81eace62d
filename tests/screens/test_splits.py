import numpy as np
import pytest

from dssl_bio.errors import ScreenError
from dssl_bio.screens.splits import split_by_group


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_group_straddles_and_shares_are_kept(seed):
    groups = np.random.default_rng(seed).integers(0, 80, 500).astype(str)
    split = split_by_group(groups, seed=seed)
    for group in np.unique(groups):
        assert len(set(split[groups == group])) == 1
    assert np.mean(split == "train") == pytest.approx(0.8, abs=0.03)
    assert np.mean(split == "test") == pytest.approx(0.1, abs=0.03)


def test_a_seed_gives_one_split_and_another_seed_another():
    groups = np.arange(100).astype(str)
    assert (split_by_group(groups, seed=3) == split_by_group(groups, seed=3)).all()
    assert (split_by_group(groups, seed=3) != split_by_group(groups, seed=4)).any()


def test_too_few_groups_are_refused():
    with pytest.raises(ScreenError, match="2 groups"):
        split_by_group(np.array(["a", "b"]))
