"""Directions of plates in codes of untreated wells, and their leaving of the shared code."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import nn

from dssl_bio.learning.encoders.encoder import MAX_NUISANCE, Encoder
from dssl_bio.learning.plates import fit_plate_projection, plate_directions

N_PLATES, PER_PLATE, DIM = 5, 30, 8


def wells(shift=2.0, seed=0):
    """Codes whose first three coordinates differ by plate; the third scatters far more than plates differ in it."""
    generator = torch.Generator().manual_seed(seed)
    plates = np.repeat(np.arange(N_PLATES), PER_PLATE)
    offset = torch.zeros(N_PLATES, DIM)
    offset[:, :3] = torch.randn(N_PLATES, 3, generator=generator)
    scatter = torch.ones(DIM)
    scatter[2] = 30.0
    return shift * offset[plates] + scatter * torch.randn(len(plates), DIM, generator=generator), plates


def accuracy(codes, plates, others):
    return LinearDiscriminantAnalysis().fit(codes, plates).score(others, plates)


def test_plates_cannot_be_told_apart_after_their_directions_are_gone():
    (codes, plates), (others, _) = wells(), wells()
    others = others + 0.1 * torch.randn(others.shape, generator=torch.Generator().manual_seed(1))
    found = plate_directions(codes, plates)
    assert torch.allclose(found.T @ found, torch.eye(found.shape[1]), atol=1e-5)
    before = accuracy(codes.numpy(), plates, others.numpy())
    left = [(x - x @ found @ found.T).numpy() for x in (codes, others)]
    assert before > 0.7 and accuracy(left[0], plates, left[1]) < 1 / N_PLATES + 0.2


def test_a_direction_in_which_wells_scatter_more_than_plates_differ_stays():
    found = plate_directions(*wells())
    kept = 1 - found.square().sum(1)  # share of each coordinate that is left
    assert kept[0] < 0.2 and kept[1] < 0.2 and kept[2] > 0.9


def test_too_few_plates_or_wells_give_no_direction():
    codes, plates = wells()
    assert plate_directions(codes, np.zeros(len(codes), dtype=int)).shape == (DIM, 0)
    assert plate_directions(codes, np.arange(len(codes))).shape == (DIM, 0)
    assert plate_directions(codes[:0], plates[:0]).shape == (DIM, 0)
    assert plate_directions(codes, plates, most=1).shape == (DIM, 1)


def test_at_most_one_direction_fewer_than_plates_and_none_that_chance_explains():
    codes, plates = wells(shift=0.0)
    assert plate_directions(codes, plates).shape[1] < N_PLATES - 1


class Plain(nn.Module):
    out_features = DIM

    def forward(self, inputs):
        return inputs


class Model(nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.shared_encoders = nn.ModuleList([nn.Identity(), encoder])


class OfWells:
    def __init__(self, codes):
        self.codes = codes

    def chunks(self, rows, membership):
        for start in range(0, len(rows), 32):
            yield self.codes[rows[start:start + 32]], membership[start:start + 32]


class Pairs:
    def __init__(self, codes):
        self.phenotypes = OfWells(codes)


def test_the_encoders_codes_lose_the_plates_in_evaluation_and_keep_them_while_it_trains():
    codes, plates = wells()
    encoder = Encoder(Plain(), 12, 16, projection=True)
    encoder.eval()
    with torch.no_grad():
        before = encoder(codes)
    n = fit_plate_projection(Model(encoder), Pairs(codes), np.arange(len(codes)), plates)
    with torch.no_grad():
        after = encoder(codes)
    directions = encoder.nuisance
    assert 0 < n < N_PLATES and directions.shape == (12, MAX_NUISANCE)
    spread = (after @ directions[:, :n]).std(0)
    assert spread.max() < 1e-5, "what is left in those directions is the same for all"
    assert torch.allclose(before, torch.nn.functional.normalize(before, dim=1), atol=1e-6)
    again = fit_plate_projection(Model(encoder), Pairs(codes), np.arange(len(codes)), plates)
    assert again == n and torch.allclose(encoder.nuisance, directions), "the same at every call"
    encoder.train()
    assert torch.allclose(torch.nn.functional.normalize(encoder(codes), dim=1), before, atol=1e-5)


def test_a_screen_without_untreated_wells_is_left_as_it_is():
    encoder = Encoder(Plain(), 12, 16, projection=True)
    assert fit_plate_projection(Model(encoder), Pairs(torch.zeros(0, DIM)), np.zeros(0, int), np.zeros(0, int)) == 0
    assert not encoder.nuisance.any() and not encoder.nuisance_centre.any()


def test_a_bag_of_tiles_has_no_projection():
    from dssl_bio.errors import RunError
    from dssl_bio.learning.config import TrainConfig
    from dssl_bio.learning.model import ScreenFacts, build_model

    config = TrainConfig.model_validate({"molecule_encoder": "hybrid", "plate_projection": True,
                                         "image": {"bag_tiles": 4}})
    with pytest.raises(RunError, match="plate_projection needs image.bag_tiles 1; here it is 4"):
        build_model(config, ScreenFacts("images", 4, 3, channels=("DNA",)))
