"""Whether attribution finds the atoms that decide the phenotype: weights against the pharmacophores of the simulator.

A share of the weight says little where most atoms belong to the pharmacophore; what counts is how much more weight lies
there than atoms do, how well weights rank those atoms before the others, and both beside encoders of random weights.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from dssl_bio.chem.atoms import matched_atoms
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import DsslBioError
from dssl_bio.factors.attribution import atom_weights, randomised, share_on
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.screens.simulate.molecules import core_patterns
from dssl_bio.vocabulary import INCHIKEY, MOLECULE_ID, SMILES

N_RANDOM, N_DRAWS = 3, 10_000
LEARNED, RANDOM = "learned", "random weights"
COLUMNS = ["molecule_id", "core", "encoder", "part", "atoms", "share_of_atoms", "share_of_weight", "enrichment",
           "auroc"]


def pharmacophore_weights(bundle: Bundle, truth: Path, n_random: int = N_RANDOM, split: str = "test") -> pd.DataFrame:
    """How the weights of held-out active molecules lie on the atoms of their pharmacophores.

    Args:
        bundle: of a simulated screen.
        truth: the simulator's truth/ folder.
        n_random: encoders of random weights beside the learned one; their figures are averaged.
        split: whose molecules are asked.

    Returns:
        one row a molecule, encoder (`learned`, `random weights`) and part (`shared`: what points at
        phenotypes; `shared, turn`; `specific`): atoms, share_of_atoms
        that are the pharmacophore's, share_of_weight that lies on them, enrichment (the latter less the former), auroc
        of the weight for being one of them. Molecules without a match, or of nothing else, are left out.

    Raises:
        DsslBioError: the folder holds no molecules of a simulated screen.
    """
    try:
        table = pd.read_parquet(truth / "molecules.parquet")
        patterns, cores = core_patterns(), table["core"]
    except (OSError, ValueError, KeyError) as cause:
        raise DsslBioError(f"{truth} holds no molecules of a simulated screen: {cause}") from cause
    held_out = table[MOLECULE_ID].isin(set(bundle.run.molecules_of(split))) & cores.isin(list(patterns))
    encoders = [(LEARNED, None), *((RANDOM, randomised(bundle.run, seed)) for seed in range(n_random))]
    rows = []
    for _, one in table[held_out].iterrows():
        molecule = Molecule(one[SMILES], one[INCHIKEY])
        inside = matched_atoms(molecule, patterns[one["core"]])
        for name, model in encoders:
            pointing, turning = (atom_weights(bundle.run, molecule, model=model, phenotypes=phenotypes)
                                 for phenotypes in (bundle.vectors.shared, None))
            if 0 < len(inside) < len(turning.shared):
                parts = {"shared": pointing.shared, "shared, turn": turning.shared, "specific": turning.specific}
                rows += [(one[MOLECULE_ID], one["core"], name, part, *_lie(values, inside))
                         for part, values in parts.items()]
    keys = COLUMNS[:4]
    return pd.DataFrame(rows, columns=COLUMNS).groupby(keys, sort=False, as_index=False).mean()


def _lie(weights: NDArray[np.float64], inside: NDArray[np.int64]) -> tuple[float, float, float, float, float]:
    member = np.zeros(len(weights), bool)
    member[inside] = True
    of_atoms, of_weight = float(member.mean()), share_on(weights, inside)
    return float(len(weights)), of_atoms, of_weight, of_weight - of_atoms, float(roc_auc_score(member, weights))


def atom_summary(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Means over molecules of `pharmacophore_weights` with 95 % bootstrap intervals, and learned less random weights.

    Returns:
        part, measure (`enrichment`, `auroc`), molecules, learned, random, and the difference of the two with low, high.
    """
    rows = []
    for part, own in table.groupby("part", sort=False):
        for measure in ("enrichment", "auroc"):
            wide = own.pivot(index="molecule_id", columns="encoder", values=measure).dropna()
            difference = (wide[LEARNED] - wide[RANDOM]).to_numpy()
            drawn = np.random.default_rng(seed).integers(0, len(wide), (N_DRAWS, len(wide)))
            low, high = np.quantile(difference[drawn].mean(1), [0.025, 0.975])
            rows.append((part, measure, len(wide), wide[LEARNED].mean(), wide[RANDOM].mean(), difference.mean(), low,
                         high))
    return pd.DataFrame(rows, columns=["part", "measure", "molecules", "learned", "random", "difference", "low",
                                       "high"])
