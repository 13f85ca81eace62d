"""What one question about factors and one counterfactual cost on a bundle with a decoder; run by hand.

    python tests/benchmarks/bench_factors.py bundles/sim [--threads 2]

Prints seconds by the clock and of the processor: the first question of a process, the median of others, and a question
asked again, which is kept.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from dssl_bio.chem.standardize import Molecule
from dssl_bio.factors.query import Asker
from dssl_bio.learning.decoders.decoder import Decoder
from dssl_bio.retrieval.bundle import Bundle
from dssl_bio.retrieval.counterfactual import under_molecule
from dssl_bio.vocabulary import INCHIKEY, MOLECULE_ID, ROW_KEY, SMILES


def timed(ask: Callable[[int], object], n: int) -> list[tuple[float, float]]:
    """Seconds by the clock and of the processor of each of n questions."""
    found = []
    for number in range(n):
        clock, processor = time.perf_counter(), time.process_time()
        ask(number)
        found.append((time.perf_counter() - clock, time.process_time() - processor))
    return found


def main() -> None:
    """Asks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--questions", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    started = time.perf_counter()
    bundle = Bundle.open(options.bundle)
    asker, decoder = Asker(bundle), Decoder.open(options.bundle, bundle.run.id)
    print(f"opened in {time.perf_counter() - started:.2f} s")
    rng = np.random.default_rng(0)
    held_out = bundle.molecules[bundle.molecules[MOLECULE_ID].isin(set(bundle.run.molecules_of("test")))]
    chosen = held_out.iloc[rng.permutation(len(held_out))[:options.questions]]
    molecules = [Molecule(*pair) for pair in zip(chosen[SMILES], chosen[INCHIKEY], strict=True)]
    assert asker.wells is not None
    indexed = np.flatnonzero((asker.wells["entry"] >= 0).to_numpy())
    keys = asker.wells[ROW_KEY].astype(str).iloc[rng.permutation(indexed)[:options.questions]].tolist()
    rows = rng.permutation(len(decoder.material.wells))[:options.questions]

    def counterfactual(number: int) -> object:
        molecule = molecules[number]
        vector = bundle.run.embed_molecules([molecule], specific=False).shared
        return under_molecule(bundle, decoder, int(rows[number]), molecule, vector)

    questions: dict[str, Callable[[int], object]] = {
        "factors of a molecule": lambda number: asker.molecule(molecules[number]),
        "factors of a well": lambda number: asker.well(keys[number]), "counterfactual": counterfactual}
    total = 0.0
    for name, ask in questions.items():
        found = np.array(timed(ask, len(molecules)))
        total += float(np.median(found[1:, 0]))
        print(f"{name}: first {found[0, 0]:.2f} s, then median {np.median(found[1:, 0]):.2f} s by the clock, "
              f"{np.median(found[1:, 1]):.2f} s of the processor, slowest {found[1:, 0].max():.2f} s")
    again = timed(lambda number: (asker.molecule(molecules[0]), asker.well(keys[0])), 3)
    print(f"all three: {total:.2f} s; factors asked again: {1000 * np.median([clock for clock, _ in again]):.2f} ms")


if __name__ == "__main__":
    main()
