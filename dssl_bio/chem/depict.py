"""Molecules as drawings."""

from collections.abc import Sequence
from typing import Any

from rdkit import Chem
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import MoleculeError

HIGH, LOW = (0.90, 0.62, 0.0), (0.34, 0.71, 0.91)
"""Orange and sky blue (Okabe and Ito 2008): positive and negative weights, told apart by everybody."""


def svg(molecule: Molecule, width: int = 320, height: int = 220, *, dark: bool = False,
        weights: Sequence[float] | None = None) -> str:
    """A drawing of a molecule on a transparent ground.

    Args:
        molecule: standardised, so that its size is capped.
        width: in pixels.
        height: in pixels.
        dark: drawn for a dark page.
        weights: one number an atom (in the order of `molecule.smiles`) to colour it, orange above zero and blue
            below, strongest for the largest magnitude.

    Raises:
        MoleculeError: the molecule cannot be drawn.
        ValueError: there is not one weight an atom.
    """
    mol = Chem.MolFromSmiles(molecule.smiles)
    if mol is None:
        raise MoleculeError(f"cannot be drawn: {molecule.smiles[:80]!r}")
    try:
        rdDepictor.Compute2DCoords(mol)
        rdDepictor.StraightenDepiction(mol)
        drawer = rdMolDraw2D.MolDraw2DSVG(width, height)
        options: Any = drawer.drawOptions()
        if dark:
            rdMolDraw2D.SetDarkMode(drawer)
        options.clearBackground = False
        options.bondLineWidth = 1.6
        options.padding = 0.06
        options.fixedBondLength = 28  # small molecules are not blown up
        colours = {} if weights is None else _colours(weights, mol.GetNumAtoms())
        rdMolDraw2D.PrepareAndDrawMolecule(drawer, mol, highlightAtoms=list(colours), highlightAtomColors=colours,
                                           highlightBonds=[])
        drawer.FinishDrawing()
    except RuntimeError as error:
        raise MoleculeError(f"cannot be drawn: {molecule.smiles[:80]!r}") from error
    return str(drawer.GetDrawingText())


def _colours(weights: Sequence[float], n_atoms: int) -> dict[int, tuple[float, float, float, float]]:
    if len(weights) != n_atoms:
        raise ValueError(f"{len(weights)} weights for {n_atoms} atoms")
    largest = max((abs(weight) for weight in weights), default=0.0)
    if largest == 0:
        return {}
    return {atom: (*(HIGH if weight > 0 else LOW), abs(weight) / largest)
            for atom, weight in enumerate(weights) if weight != 0}
