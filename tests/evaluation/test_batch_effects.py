import numpy as np
import pytest

from dssl_bio.evaluation.batch_effects import (
    AS_MEASURED,
    SHARED,
    SPHERED,
    batch_effects,
    plates_and_biology,
)
from dssl_bio.learning.representation import SharedSpecific
from tests.evaluation.profile_screen import amides_division


def wells(n_molecules=40, n_plates=4, seed=0):
    """Every molecule on every plate; the first half of the molecules share a mechanism by twos."""
    rng = np.random.default_rng(seed)
    molecule = np.repeat(np.arange(n_molecules), n_plates)
    plate = np.tile(np.arange(n_plates), n_molecules)
    mechanism = np.array([f"m{i // 2}" if i < 20 else None for i in molecule], dtype=object)
    names = np.array([f"mol{i}" for i in molecule], dtype=object)
    return rng, molecule, plate, names, mechanism


def test_what_only_plates_decide_has_no_biology_and_the_other_way_round():
    rng, molecule, plate, names, mechanism = wells()
    of_plate, of_molecule = rng.normal(size=(4, 30)), rng.normal(size=(40, 30))
    named = {"plate": of_plate[plate] + 0.05 * rng.normal(size=(160, 30)),
             "molecule": of_molecule[molecule] + 0.05 * rng.normal(size=(160, 30)),
             "mechanism": rng.normal(size=(11, 30))[np.minimum(molecule // 2, 10)] + 0.05 * rng.normal(size=(160, 30)),
             "nothing": rng.normal(size=(160, 30))}
    table = plates_and_biology(named, plate.astype(str), names, mechanism).set_index("representation")
    assert table.loc["plate", "same_plate"] == 1 and table.loc["molecule", "same_plate"] < 0.45
    assert (table.same_plate_chance == 0.25).all()
    assert table.loc["molecule", "replicates"] > 0.99
    assert table.loc["plate", "replicates"] < table.loc["plate", "replicates_chance"]  # others' wells come first
    assert table.loc["nothing", "replicates"] == pytest.approx(table.loc["nothing", "replicates_chance"], abs=0.025)
    assert table.loc["nothing", "mechanism"] == pytest.approx(table.loc["nothing", "mechanism_chance"], abs=0.025)
    assert table.loc["mechanism", "mechanism"] == pytest.approx(0.3)  # of ten nearest only three can be right
    assert table.loc["nothing", "same_plate"] == pytest.approx(0.25, abs=0.04)


def test_the_figures_are_those_of_loops_written_out():
    rng, _, plate, names, mechanism = wells(12, 3, seed=3)
    x = rng.normal(size=(36, 6))
    (row,) = plates_and_biology({"x": x}, plate.astype(str), names, mechanism).to_dict("records")
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    on_plate, precision = [], []
    for i in range(36):
        others = sorted((j for j in range(36) if names[j] != names[i]), key=lambda j: -unit[i] @ unit[j])
        on_plate.append(np.mean([plate[j] == plate[i] for j in others[:10]]))
        right = [j for j in range(36) if names[j] == names[i] and plate[j] != plate[i]]
        ranked = sorted(right + others, key=lambda j: -unit[i] @ unit[j])
        places = [k for k, j in enumerate(ranked, start=1) if j in right]
        precision.append(np.mean([(n + 1) / k for n, k in enumerate(places)]))
    assert row["same_plate"] == pytest.approx(np.mean(on_plate))
    assert row["replicates"] == pytest.approx(np.mean(precision))


def test_a_screen_without_replicates_or_mechanisms_has_no_such_figure():
    rng = np.random.default_rng(0)
    names = np.array([f"m{i}" for i in range(30)], dtype=object)
    (row,) = plates_and_biology({"x": rng.normal(size=(30, 4))}, np.repeat(["a", "b"], 15), names).to_dict("records")
    assert np.isnan(row["replicates"]) and np.isnan(row["mechanism"]) and 0 < row["same_plate"] < 1


def test_held_out_wells_are_described_before_and_after(amides_screen):
    division = amides_division(amides_screen, train_where=None, gallery_where=None)
    rng = np.random.default_rng(0)
    n = len(division.rows)
    table = batch_effects(division, SharedSpecific(rng.normal(size=(n, 4)), rng.normal(size=(n, 3))))
    assert {AS_MEASURED, SHARED} <= set(table.representation)
    assert SPHERED not in set(table.representation)  # there are no controls
    measured = table.set_index("representation").loc[AS_MEASURED]
    assert measured.same_plate > measured.same_plate_chance  # run 2 has offsets of its own
    assert measured.replicates > 2 * measured.replicates_chance
