"""Groups that a medicinal chemist hangs on a scaffold and that, here, change nothing in the phenotype.

Each is a SMILES branch to be written after an atom; ring closures are numbered from 11 so that they never meet those
of a scaffold.
"""

from typing import Literal

Kind = Literal["halogen", "alkyl", "linker", "solubilising", "polar"]

DECORATIONS: dict[str, tuple[Kind, str]] = {
    "fluoro": ("halogen", "(F)"),
    "chloro": ("halogen", "(Cl)"),
    "bromo": ("halogen", "(Br)"),
    "trifluoromethyl": ("halogen", "(C(F)(F)F)"),
    "difluoromethoxy": ("halogen", "(OC(F)F)"),
    "methyl": ("alkyl", "(C)"),
    "ethyl": ("alkyl", "(CC)"),
    "isopropyl": ("alkyl", "(C(C)C)"),
    "cyclopropyl": ("alkyl", "(C%11CC%11)"),
    "tert-butyl": ("alkyl", "(C(C)(C)C)"),
    "methoxyethoxy": ("linker", "(OCCOC)"),
    "PEG2": ("linker", "(OCCOCCOC)"),
    "propargyloxy": ("linker", "(OCC#C)"),
    "methoxypropyl": ("linker", "(CCCOC)"),
    "methoxymethyl": ("linker", "(COC)"),
    "morpholinomethyl": ("solubilising", "(CN%11CCOCC%11)"),
    "morpholinoethoxy": ("solubilising", "(OCCN%11CCOCC%11)"),
    "oxetanyloxy": ("solubilising", "(OC%11COC%11)"),
    "tetrahydropyranyloxy": ("solubilising", "(OC%11CCOCC%11)"),
    "acetylpiperazinylmethyl": ("solubilising", "(CN%11CCN(C(C)=O)CC%11)"),
    "methylsulfonyl": ("polar", "(S(C)(=O)=O)"),
    "dimethylcarboxamide": ("polar", "(C(=O)N(C)C)"),
    "acetamidomethyl": ("polar", "(CNC(C)=O)"),
    "cyanomethyl": ("polar", "(CC#N)"),
    "hydroxyethyl": ("polar", "(CCO)"),
}
"""Name -> kind and branch."""

KINDS: tuple[Kind, ...] = ("halogen", "alkyl", "linker", "solubilising", "polar")
