"""Named factors of one molecule or one phenotype as a form; for bundles that were indexed with them."""

import numpy as np
from dssl_bio.app.api import forms
from dssl_bio.app.api.engine import Engine

from dssl_bio.errors import MoleculeError
from dssl_bio.factors.attribution import Weights, atom_weights
from dssl_bio.factors.axes import Axes
from dssl_bio.factors.index import read_factors
from dssl_bio.retrieval.lookup import identify


def of_molecule(engine: Engine, text: str) -> forms.FactorsFound:
    """Places on the molecule-specific axes, and what each atom weighs in both representations.

    Raises:
        MoleculeError: the text is no molecule.
        BundleError: the bundle keeps no factors.
    """
    axes = read_factors(engine.folder).axes["molecule"]
    identified = identify(engine.tables, text, engine.pool)
    run = engine.bundle.run
    try:
        weights = atom_weights(run, identified.molecule)
    except MoleculeError:  # too many atoms: its places are told, its atoms are not
        weights = Weights(np.zeros(0), np.zeros(0))
    vectors = run.embed_molecules([identified.molecule])
    return forms.FactorsFound(**engine.origin(), side="molecule", name=identified.molecule.smiles,
                              factors=_places(axes, vectors.specific), atoms_shared=weights.shared.tolist(),
                              atoms_specific=weights.specific.tolist())


def of_entry(engine: Engine, key: str) -> forms.FactorsFound:
    """Places of a phenotype of the bundle on the phenotype-specific axes.

    Raises:
        NotServed: no such entry.
        BundleError: the bundle keeps no factors.
    """
    axes, row = read_factors(engine.folder).axes["phenotype"], engine.entry(key)
    return forms.FactorsFound(**engine.origin(), side="phenotype", name=key, atoms_shared=[], atoms_specific=[],
                              factors=_places(axes, engine.bundle.vectors.specific[row:row + 1]))


def _places(axes: Axes, vector: np.ndarray) -> list[forms.FactorPlace]:
    percentiles = axes.percentiles(vector)[0]
    return [forms.FactorPlace(name=axis.name, kind=axis.kind, score=axis.score, metric=axis.metric, percentile=place,
                              high=list(axis.high), low=list(axis.low))
            for axis, place in zip(axes.axes, percentiles.tolist(), strict=True)]
