import pytest
import torch

from dssl_bio.learning.augmentation import noise_or_drop


def test_a_third_of_the_rows_is_noised_a_third_thinned_and_a_third_left_alone():
    x = 1 + torch.rand(6000, 100, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    changed = noise_or_drop(x, torch.Generator().manual_seed(1))
    assert torch.equal(x, before)
    dropped, same = (changed == 0).sum(1), (changed == x).all(1)
    thinned = dropped > 0
    assert set(dropped.tolist()) == {0, 10}
    assert torch.equal(changed[thinned][changed[thinned] != 0], x[thinned][changed[thinned] != 0])
    noised = ~thinned & ~same
    for part in (thinned, same, noised):
        assert float(part.float().mean()) == pytest.approx(1 / 3, abs=0.02)
    difference = (changed - x)[noised]
    assert float(difference.std()) == pytest.approx(0.01, rel=0.02) and abs(float(difference.mean())) < 1e-4
    # Every coordinate is dropped equally often.
    share = (changed[thinned] == 0).float().mean(0)
    assert float(share.min()) > 0.06 and float(share.max()) < 0.14


def test_the_same_seed_gives_the_same_view_and_narrow_rows_lose_a_tenth():
    x = torch.ones(300, 25)
    one, two = (noise_or_drop(x, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert set((one == 0).sum(1).tolist()) == {0, 2}
