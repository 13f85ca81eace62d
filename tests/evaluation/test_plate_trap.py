"""The batch trap: where plates differ, knowing the plate finds the phenotype; plate-wise normalisation ends it."""

import numpy as np

from dssl_bio.evaluation.baselines import PlateOnly, TunedKernelRidge
from dssl_bio.evaluation.division import divide
from dssl_bio.evaluation.metrics import chance_summary
from tests.evaluation.profile_screen import MANIFEST, amides_table, split_of
from tests.evaluation.test_baselines import reciprocal_ranks
from tests.screens.small_screen import ingested


def division_with_plate_effects(folder, normalisation):
    table = amides_table()
    features = [name for name in table if name.startswith("Cells_")]
    rng = np.random.default_rng(5)
    on = dict(zip(sorted(set(table["compound"])), rng.permutation(80) % 5, strict=True))  # nothing of their chemistry
    table["plate"] = [f"R{run}P{on[name]}" for run, name in zip(table["run"], table["compound"], strict=True)]
    offset = {plate: 20 * rng.normal(size=len(features)) for plate in sorted(set(table["plate"]))}
    table[features] += np.array([offset[plate] for plate in table["plate"]])
    table[features] += 3 * rng.normal(size=(len(table), len(features)))  # chemistry is weak, as it is on real screens
    folder.mkdir(parents=True)
    table.to_csv(folder / "wells.csv", index=False)
    text = MANIFEST.format(simulated="false").replace('normalisation = "none"', f'normalisation = "{normalisation}"')
    (folder / "manifest.toml").write_text(text)
    screen = ingested(folder / "manifest.toml")
    profiles = screen.profiles["cell_painting"]
    return divide(screen, split_of(screen, 3), profiles.rows, np.asarray(profiles.values), fold="fold 0",
                  train_where='Metadata_Run == "1"', gallery_where='Metadata_Run == "1"')


def mrr(method, division):
    return reciprocal_ranks(method().vectors(division, 0), division).mean()


def test_the_plate_alone_beats_chemistry_until_profiles_are_normalised_by_plate(tmp_path):
    raw = division_with_plate_effects(tmp_path / "raw", "none")
    centred = division_with_plate_effects(tmp_path / "centred", "plate")
    n = int(raw.entries.held_out.sum())
    chance = chance_summary([n], [1]).mrr
    assert mrr(PlateOnly, raw) > 2 * chance and mrr(PlateOnly, raw) > mrr(TunedKernelRidge, raw)
    assert mrr(PlateOnly, centred) < 1.5 * chance
    assert mrr(TunedKernelRidge, centred) > 2 * chance
