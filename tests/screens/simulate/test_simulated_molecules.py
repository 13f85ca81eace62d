from collections import Counter

import numpy as np
import pytest

from dssl_bio.chem.standardize import standardize
from dssl_bio.errors import ConfigError
from dssl_bio.screens.simulate import molecules as simulated_molecules
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.decorations import DECORATIONS, KINDS
from dssl_bio.screens.simulate.mechanisms import INACTIVE, MECHANISMS
from dssl_bio.screens.simulate.molecules import decorated, draw_molecules, truth_of_molecules
from dssl_bio.screens.simulate.pharmacophores import PHARMACOPHORES
from dssl_bio.screens.simulate.plates import effect_of
from dssl_bio.screens.simulate.scaffolds import NEAR_MISSES, ORDINARY

TEMPLATES = {
    **{f"{p.name} {group}": p.smiles.replace("{p}", group)
       for cores in PHARMACOPHORES.values() for p in cores for group in p.potency},
    **{name: smiles for misses in NEAR_MISSES.values() for name, smiles in misses.items()},
    **ORDINARY,
}


@pytest.fixture(scope="module")
def molecules():
    return draw_molecules(SimulationConfig(seed=3, n_molecules=150))


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_takes_decorations_at_all_places(name):
    template = TEMPLATES[name]
    assert template.count("{a}") == 1 and template.count("{b}") <= 1 and "{p}" not in template
    bare = standardize(decorated(template, ()))
    for groups in (("fluoro", "acetylpiperazinylmethyl"), ("cyclopropyl", "PEG2")):
        assert standardize(decorated(template, groups)).id != bare.id


@pytest.mark.parametrize("name", DECORATIONS)
def test_every_decoration_is_a_branch(name):
    kind, branch = DECORATIONS[name]
    assert kind in KINDS and branch.startswith("(") and branch.endswith(")")
    standardize(f"c1c{branch}c{branch}ccc1")


def test_tables_of_chemistry_name_the_same_mechanisms():
    assert set(PHARMACOPHORES) == set(MECHANISMS) == set(NEAR_MISSES)
    assert len(MECHANISMS) >= 12


def test_molecules_are_distinct_standardised_and_mostly_inactive(molecules):
    assert len({m.inchikey[:14] for m in molecules}) == len({m.compound for m in molecules}) == 150
    for molecule in molecules[::10]:
        parent = standardize(molecule.smiles)
        assert (parent.smiles, parent.inchikey) == (molecule.smiles, molecule.inchikey)
    counts = Counter(m.core.mechanism for m in molecules)
    assert counts.pop(INACTIVE) >= 75
    assert set(counts) == set(MECHANISMS) and max(counts.values()) - min(counts.values()) <= 1


def test_the_core_alone_decides_the_effect(molecules):
    for a in molecules:
        for b in molecules:
            if a.core == b.core:
                assert effect_of(a, 5.0) == effect_of(b, 5.0)
    assert len({m.decorations for m in molecules if m.core.active}) > 30


def test_decorations_are_as_frequent_on_active_as_on_inactive_molecules():
    truth = truth_of_molecules(draw_molecules(SimulationConfig(seed=5, n_molecules=500)))
    active = truth["Shared_mechanism"] != INACTIVE
    for kind in KINDS:
        column = truth[f"Specific_{kind}"]
        assert abs(column[active].mean() - column[~active].mean()) < 0.2, kind


def test_only_active_molecules_are_annotated_and_few_are_hidden(molecules):
    active = [m for m in molecules if m.core.active]
    assert not any(m.annotated for m in molecules if not m.core.active)
    assert 0.7 < np.mean([m.annotated for m in active]) < 1


def test_strength_grows_with_dose_and_potency(molecules):
    core = sorted({m.core for m in molecules if m.core.mechanism == "tubulin polymerization inhibitor"},
                  key=lambda core: core.ec50_um)
    of = {m.core: m for m in molecules}
    assert [effect_of(of[c], 2.0).strength for c in core] == sorted(
        (effect_of(of[c], 2.0).strength for c in core), reverse=True)
    assert effect_of(of[core[0]], 10.0).strength > effect_of(of[core[0]], 2.0).strength > 0.5


def test_the_seed_decides():
    config = SimulationConfig(seed=8, n_molecules=60)
    assert draw_molecules(config) == draw_molecules(config)
    other = draw_molecules(SimulationConfig(seed=9, n_molecules=60))
    assert {m.smiles for m in draw_molecules(config)} != {m.smiles for m in other}


def test_too_many_molecules_are_refused(monkeypatch):
    monkeypatch.setattr(simulated_molecules, "DECORATIONS", {"fluoro": DECORATIONS["fluoro"]})
    monkeypatch.setattr(simulated_molecules, "ATTEMPTS", 5)
    with pytest.raises(ConfigError, match="no more distinct molecules"):
        draw_molecules(SimulationConfig(n_molecules=1000))


def test_too_few_molecules_for_the_mechanisms_are_refused():
    with pytest.raises(ValueError, match="one for each mechanism"):
        SimulationConfig(n_molecules=20)
