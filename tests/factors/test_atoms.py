"""Weights of atoms against the pharmacophores that the simulator put there."""

import numpy as np
import pandas as pd
import pytest

from dssl_bio.chem.atoms import matched_atoms, n_atoms
from dssl_bio.chem.standardize import Molecule, standardize
from dssl_bio.errors import DsslBioError
from dssl_bio.factors.atoms import LEARNED, RANDOM, atom_summary, pharmacophore_weights
from dssl_bio.factors.attribution import atom_weights
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.screens.simulate.config import SimulationConfig
from dssl_bio.screens.simulate.molecules import core_patterns, draw_molecules


@pytest.fixture(scope="module")
def bundle(small_road):
    return Bundle.open(small_road / "bundle")


def test_what_points_at_its_own_vector_loses_what_it_turns(bundle):
    molecule = standardize("O=C(c1ccoc1)NCC#N")
    own = bundle.run.embed_molecules([molecule], specific=False).shared
    turned, lost = atom_weights(bundle.run, molecule), atom_weights(bundle.run, molecule, phenotypes=own)
    np.testing.assert_allclose(lost.shared, turned.shared, atol=1e-6)
    np.testing.assert_array_equal(lost.specific, turned.specific)
    # Of two opposite phenotypes the molecule points at the one that is its own.
    both = atom_weights(bundle.run, molecule, phenotypes=np.concatenate([own, -own]))
    np.testing.assert_allclose(both.shared, turned.shared, atol=1e-6)


def test_every_active_molecule_holds_its_pharmacophore_and_the_decorations_are_left_over():
    patterns = core_patterns()
    active = [one for one in draw_molecules(SimulationConfig(n_molecules=120)) if one.core.active]
    found = [len(matched_atoms(Molecule(one.smiles, one.inchikey), patterns[one.core.name])) for one in active]
    assert np.mean([n > 0 for n in found]) > 0.9  # others are drawn as another tautomer
    decorated = [(one, n) for one, n in zip(active, found, strict=True) if one.decorations and n]
    assert decorated and all(n < n_atoms(Molecule(one.smiles, one.inchikey)) for one, n in decorated)


def test_weights_of_molecules_are_compared_with_random_weights(bundle, tmp_path):
    test = bundle.molecules[bundle.molecules["split"] == "test"]
    name = next(iter(core_patterns()))
    table = pd.DataFrame({"molecule_id": test["molecule_id"], "Metadata_SMILES": test["Metadata_SMILES"],
                          "Metadata_InChIKey": test["Metadata_InChIKey"], "core": name})
    table.to_parquet(tmp_path / "molecules.parquet")
    assert pharmacophore_weights(bundle, tmp_path, 1).empty  # amides hold no pharmacophore
    with pytest.raises(DsslBioError, match="holds no molecules of a simulated screen"):
        pharmacophore_weights(bundle, tmp_path / "none")


def test_the_summary_is_the_mean_and_its_difference():
    rows = [(f"m{i}", "c", encoder, "shared", 10.0, 0.5, 0.5 + gain, gain, auroc) for i in range(4)
            for encoder, gain, auroc in ((LEARNED, 0.1 * i, 0.7), (RANDOM, 0.0, 0.6))]
    table = pd.DataFrame(rows, columns=["molecule_id", "core", "encoder", "part", "atoms", "share_of_atoms",
                                        "share_of_weight", "enrichment", "auroc"])
    found = atom_summary(table).set_index("measure")
    assert found.loc["enrichment", "difference"] == pytest.approx(0.15)
    assert found.loc["enrichment", "low"] < 0.15 < found.loc["enrichment", "high"]
    assert found.loc["auroc", ["learned", "random", "low", "high"]].tolist() == pytest.approx([0.7, 0.6, 0.1, 0.1])
