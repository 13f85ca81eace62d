"""The process behind standardize_many: a line of JSON in (a question), a line of JSON out (a molecule or an error)."""

import json
import resource
import sys

from dssl_bio.chem.features import molecule_features, to_json
from dssl_bio.chem.standardize import standardize, standardize_mol_block
from dssl_bio.errors import MoleculeError

MEMORY_LIMIT_BYTES = 6_000_000_000
READERS = {"smiles": standardize, "mol": standardize_mol_block}


def answer(form: str, text: str, needs: list[str] | None) -> dict[str, object]:
    """What standardisation gave, as values that JSON can hold.

    Args:
        form: `smiles`, or `mol` for a record of an SDF file.
        text: the SMILES or the record.
        needs: features that an encoder reads and that are wanted too, see `molecule_features`; None for none.
    """
    try:
        molecule = READERS[form](text)
        features = None if needs is None else to_json(molecule_features(molecule, frozenset(needs)))
    except MoleculeError as problem:
        return {"error": str(problem)}
    except MemoryError:
        return {"error": "needs more memory than one molecule may take"}
    return {"smiles": molecule.smiles, "inchikey": molecule.inchikey, "changes": molecule.changes,
            "features": features}


def main() -> None:
    """Answers until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(*json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
