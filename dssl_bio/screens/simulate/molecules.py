"""Molecules of a simulated screen: pharmacophores and ordinary scaffolds, each under random decorations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Union

import numpy as np
import pandas as pd

from dssl_bio.chem.standardize import standardize
from dssl_bio.errors import ConfigError
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.decorations import DECORATIONS, KINDS
from dssl_bio.screens.simulate.mechanisms import INACTIVE, MECHANISMS
from dssl_bio.screens.simulate.pharmacophores import PHARMACOPHORES
from dssl_bio.screens.simulate.scaffolds import NEAR_MISSES, ORDINARY
from dssl_bio.vocabulary import COMPOUND, INCHIKEY, MOA, MOLECULE_ID, SMILES

SHARE_NEAR_MISSES = 0.25
SHARE_DECORATED = 0.65
ATTEMPTS = 500


@dataclass(frozen=True)
class Core:
    """A template and all that it decides: what two molecules of one core have in common is shared truth."""

    name: str
    smiles: str
    mechanism: str = INACTIVE
    ec50_um: float = float("nan")
    near_miss_of: str = ""

    @property
    def active(self) -> bool:
        """Whether it carries a pharmacophore."""
        return self.mechanism != INACTIVE


Cores = Union[Core, Sequence["Cores"]]  # noqa: UP007 - a recursive alias needs the old spelling


@dataclass(frozen=True)
class SimulatedMolecule:
    """A molecule with its truth: the core is shared with the phenotype, the decorations are its own.

    Attributes:
        compound: its name in the screen.
        smiles: standardised.
        inchikey: of `smiles`.
        core: what decides mechanism and potency.
        decorations: names of the groups at its places.
        annotated: whether the screen's table tells the mechanism.
    """

    compound: str
    smiles: str
    inchikey: str
    core: Core
    decorations: tuple[str, ...]
    annotated: bool


def draw_molecules(config: SimulationConfig) -> list[SimulatedMolecule]:
    """Distinct molecules (by connectivity) in random order; mechanisms are equally frequent up to one.

    Raises:
        ConfigError: more molecules are wanted than templates and decorations give.
    """
    rng = np.random.default_rng([config.seed, 1])
    active = _taking_turns([_cores_of(mechanism) for mechanism in MECHANISMS], rng)
    n_near = round(SHARE_NEAR_MISSES * config.n_inactive)
    near = _taking_turns([_near_misses_of(mechanism) for mechanism in NEAR_MISSES], rng)
    ordinary = _taking_turns([Core(name, smiles) for name, smiles in ORDINARY.items()], rng)
    drawn: dict[str, tuple[Core, tuple[str, ...], str, str]] = {}
    for cores, count in ((active, config.n_active), (near, n_near), (ordinary, config.n_inactive - n_near)):
        _draw(cores, count, rng, drawn)
    molecules = list(drawn.values())
    order = rng.permutation(len(molecules))
    annotated = rng.random(len(molecules)) < config.fraction_annotated
    return [SimulatedMolecule(f"SIM-C{number + 1:04d}", smiles, inchikey, core, decorations,
                              bool(annotated[i]) and core.active)
            for number, i in enumerate(order) for core, decorations, smiles, inchikey in [molecules[i]]]


def truth_of_molecules(molecules: list[SimulatedMolecule]) -> pd.DataFrame:
    """One row a molecule: what it shares with its phenotype, and what is its own."""
    rows = []
    for molecule in molecules:
        core = molecule.core
        kinds = [DECORATIONS[name][0] for name in molecule.decorations]
        rows.append({
            MOLECULE_ID: molecule.inchikey[:14], INCHIKEY: molecule.inchikey, COMPOUND: molecule.compound,
            SMILES: molecule.smiles, MOA: core.mechanism if molecule.annotated else None,
            "Shared_mechanism": core.mechanism, "Shared_log10_ec50_um": float(np.log10(core.ec50_um)),
            "core": core.name, "near_miss_of": core.near_miss_of, "decorations": "; ".join(molecule.decorations),
            **{f"Specific_{kind}": kinds.count(kind) for kind in KINDS},
        })
    return pd.DataFrame(rows)


def decorated(template: str, groups: tuple[str, ...]) -> str:
    """A template's SMILES with named decorations at its places, in order, and hydrogen at the others."""
    branches = [DECORATIONS[name][1] if name else "" for name in groups]
    for place, branch in zip(("{a}", "{b}"), [*branches, "", ""], strict=False):
        template = template.replace(place, branch)
    return template


def _cores_of(mechanism: str) -> Cores:
    """For each pharmacophore its cores, one for each substituent that decides the potency."""
    return [[Core(_core_name(p.name, group, p.potency), p.smiles.replace("{p}", group), mechanism, p.ec50_um * factor)
             for group, factor in p.potency.items()] for p in PHARMACOPHORES[mechanism]]


def core_patterns() -> dict[str, str]:
    """The active cores without decorations, as substructure patterns by name: the atoms that decide the phenotype."""
    return {core.name: core.smiles.replace("{a}", "").replace("{b}", "") for mechanism in MECHANISMS
            for core in _flat(_cores_of(mechanism))}


def _flat(cores: Cores) -> Iterator[Core]:
    if isinstance(cores, Core):
        yield cores
    else:
        for group in cores:
            yield from _flat(group)


def _core_name(name: str, group: str, groups: dict[str, float]) -> str:
    return name if len(groups) == 1 else f"{name}, {group or 'H'}"


def _near_misses_of(mechanism: str) -> Cores:
    return [Core(name, smiles, near_miss_of=mechanism) for name, smiles in NEAR_MISSES[mechanism].items()]


def _taking_turns(groups: Sequence["Cores"], rng: np.random.Generator) -> Iterator[Core]:
    """Cores without end; at each level of the nested lists every member has its turn before one has two."""
    members = [repeat(group) if isinstance(group, Core) else _taking_turns(group, rng) for group in groups]
    while True:
        for i in rng.permutation(len(members)):
            yield next(members[i])


def _draw(cores: Iterator[Core], count: int, rng: np.random.Generator,
          drawn: dict[str, tuple[Core, tuple[str, ...], str, str]]) -> None:
    """Adds molecules that are not in `drawn` yet."""
    wanted = len(drawn) + count
    while len(drawn) < wanted:
        core = next(cores)
        for _ in range(ATTEMPTS):
            groups = _draw_decorations(core.smiles, rng)
            molecule = standardize(decorated(core.smiles, groups))
            if molecule.id not in drawn:
                drawn[molecule.id] = (core, tuple(filter(None, groups)), molecule.smiles, molecule.inchikey)
                break
        else:
            raise ConfigError(f"no more distinct molecules can be made of {core.name!r}; ask for fewer than {wanted}")


def _draw_decorations(template: str, rng: np.random.Generator) -> tuple[str, ...]:
    """A group or none ("") for each place; at least one place is taken."""
    names = list(DECORATIONS)
    n_places = 1 + ("{b}" in template)
    taken = rng.random(n_places) < SHARE_DECORATED
    taken[rng.integers(n_places)] = True
    return tuple(names[rng.integers(len(names))] if place else "" for place in taken)
