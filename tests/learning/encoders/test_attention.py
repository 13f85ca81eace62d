import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dssl_bio.config import checked
from dssl_bio.errors import DsslBioError
from dssl_bio.learning.config import TrainConfig
from dssl_bio.learning.disentangled import DisentangledModel, SharedObjective, SpecificObjective
from dssl_bio.learning.encoders.attention import LARGEST_SCORE, BagEncoder
from dssl_bio.learning.encoders.encoder import Encoder
from dssl_bio.learning.losses.infonce import infonce
from dssl_bio.learning.model import ScreenFacts, build_model
from dssl_bio.learning.run import embed_phenotypes

ROUNDING = 0.01
"""Of bfloat16, which images are embedded in where it is fast; codes' lengths reach 20."""


class Flat(nn.Module):
    """A trunk that reads "tiles" (N, width, 1, 1)."""

    def __init__(self, width):
        super().__init__()
        self.out_features = width

    def forward(self, tiles):
        return tiles.flatten(1)


def encoder(attention=True, width=6, seed=0, trained=True):
    torch.manual_seed(seed)
    made = BagEncoder(Flat(width), 5, 16, attention=attention)
    if attention and trained:
        nn.init.normal_(made.attention.score.weight, std=3)
    return made.eval()


def bags(n=7, size=4, width=6, seed=1):
    return torch.randn(n, size, width, 1, 1, generator=torch.Generator().manual_seed(seed))


def test_the_order_of_tiles_changes_nothing_and_what_they_are_does():
    model, tiles = encoder(), bags()
    code = model(tiles)
    assert torch.allclose(model(tiles[:, [2, 0, 3, 1]]), code, atol=1e-6)
    assert not torch.allclose(F.normalize(model(tiles[:, :3]), dim=1), F.normalize(code, dim=1), atol=1e-3)


def test_equal_scores_give_the_direction_of_the_mean_and_others_the_softmax_of_ilse():
    tiles = bags()
    for model in (encoder(trained=False), encoder(attention=False)):
        units = F.normalize(model.head(tiles.flatten(2).flatten(0, 1)), dim=1).unflatten(0, (7, 4))
        assert torch.allclose(F.normalize(model(tiles), dim=1), F.normalize(units.mean(1), dim=1), atol=1e-6)
    model = encoder()
    features = tiles.flatten(2)
    units = F.normalize(model.head(features.flatten(0, 1)), dim=1).unflatten(0, (7, 4))
    weight = model.attention(features.flatten(0, 1)).unflatten(0, (7, 4)).softmax(1)
    expected = F.normalize((weight[:, :, None] * units).sum(1), dim=1)
    assert weight.max() > 0.5 and torch.allclose(F.normalize(model(tiles), dim=1), expected, atol=1e-6)


def test_scores_are_bounded():
    model = encoder()
    nn.init.constant_(model.attention.score.weight, 1e3)
    assert model.attention(torch.randn(20, 6)).abs().max() <= LARGEST_SCORE


class Bags:
    """Wells of several "tiles", handed out in pieces as images are."""

    def __init__(self, tiles):
        self.tiles = tiles

    def chunks(self, rows, membership):
        for row, entry in zip(rows, membership, strict=True):
            for tile in self.tiles[row]:
                yield tile[None], np.array([entry])


def test_an_index_pools_wells_and_entries_as_training_pools_bags():
    shared = encoder()
    model = DisentangledModel((Encoder(Flat(6), 5), shared), (Encoder(Flat(6), 3, condition_dim=5),) * 2,
                              SharedObjective(), SpecificObjective()).eval()
    tiles, rows = bags(6), np.arange(6)
    wells = embed_phenotypes(model, Bags(tiles), rows, rows)
    assert np.allclose(wells.shared, F.normalize(shared(tiles), dim=1).detach(), atol=ROUNDING)
    entries = embed_phenotypes(model, Bags(tiles), rows, rows // 2, specific=False)  # two wells each
    joined = tiles.reshape(3, 8, 6, 1, 1)
    assert np.allclose(entries.shared, F.normalize(shared(joined), dim=1).detach(), atol=ROUNDING)
    sums = embed_phenotypes(model, Bags(tiles), rows, rows, unit=False).shared
    assert np.allclose(sums[::2] + sums[1::2], shared(joined).detach(), rtol=ROUNDING, atol=0.2)


def noisy_task(attention, steps=150):
    """Bags of one telling tile and five of noise, which feature 0 marks; recall of own codes of 64 unseen bags."""
    generator = torch.Generator().manual_seed(0)

    def drawn(n):
        target = torch.randn(n, 8, generator=generator)
        tiles = 2 * torch.randn(n, 6, 9, generator=generator)
        tiles[:, :, 0] = -1
        place = torch.randint(0, 6, (n,), generator=generator)
        tiles[torch.arange(n), place] = torch.cat([torch.ones(n, 1), target], dim=1)
        return target, tiles[..., None, None], place

    torch.manual_seed(0)
    reader, other = BagEncoder(Flat(9), 8, 64, attention=attention), nn.Linear(8, 8)
    optimizer = torch.optim.Adam([*reader.parameters(), *other.parameters()], lr=3e-3)
    for _ in range(steps):
        target, tiles, _ = drawn(64)
        loss = infonce(F.normalize(other(target), dim=1), F.normalize(reader(tiles), dim=1), 0.1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    target, tiles, place = drawn(64)
    with torch.no_grad():
        cosines = F.normalize(other(target), dim=1) @ F.normalize(reader(tiles), dim=1).T
        scores = reader.attention(tiles.flatten(0, 1).flatten(1)).unflatten(0, (64, 6)) if attention else None
    return float((cosines.argmax(1) == torch.arange(64)).float().mean()), scores, place


def test_attention_learns_to_leave_noise_aside_and_the_mean_cannot():
    found, scores, place = noisy_task(True)
    without, _, _ = noisy_task(False)
    assert (scores.argmax(1) == place).all()
    assert found > 0.8 and found > without + 0.2


def test_a_model_in_bags_is_built_and_attention_without_bags_is_refused():
    facts = ScreenFacts("images", 3, 2, channels=("DNA", "ER"), pixel_size_um=1.0)
    config = TrainConfig.model_validate({"molecule_encoder": "gine", "gine": {"hidden": 8, "layers": 1},
                                         "image": {"pooling": "attention", "bag_tiles": 2, "width": 8, "blocks": 1}})
    model = build_model(config, facts).eval()
    other = build_model(config, facts).eval()
    other.load_state_dict(model.state_dict())
    tiles = torch.rand(3, 2, 2, 32, 32)
    assert model.shared(1, tiles).shape == (3, 128) and torch.equal(model.shared(1, tiles), other.shared(1, tiles))
    assert model.attends(1) and not model.attends(0)
    with pytest.raises(DsslBioError, match="bag_tiles"):
        checked({"image": {"pooling": "attention"}}, TrainConfig, "test")
