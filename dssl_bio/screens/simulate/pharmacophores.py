"""Pharmacophores of named drugs and tools, as SMILES with places for decorations.

`{a}` and `{b}` stand after atoms that may carry a decoration; `{p}`, where there is one, after or at the atom where a
substituent decides the potency. Potencies are of the order reported for the named molecule in cells, kept within what
two doses between 1 and 10 uM can tell apart; they are part of the simulation, not measurements.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pharmacophore:
    """One scaffold through which a mechanism is reached.

    Attributes:
        name: the drug or tool it is the core of.
        smiles: template with {a}, {b} and perhaps {p}.
        ec50_um: potency of the core.
        potency: what may stand at {p} -> factor on ec50_um.
    """

    name: str
    smiles: str
    ec50_um: float
    potency: dict[str, float] = field(default_factory=lambda: {"": 1.0})


def _core(name: str, smiles: str, ec50_um: float, potency: dict[str, float] | None = None) -> Pharmacophore:
    return Pharmacophore(name, smiles, ec50_um, potency or {"": 1.0})


_STEROID_ESTER = "C(=O)COC(=O)c9cc{b}c{a}cc9"
_LACTONE_STEROID = ("C[C@]12CC[C@H]3[C@@H](C{b}C[C@@H]4C[C@@H](O{p})CC[C@]34C)[C@@]1(O)CC{a}[C@@H]2")
_RHAMNOSE = "[C@@H]%20O[C@@H](C)[C@H](O)[C@@H](O)[C@H]%20O"

PHARMACOPHORES: dict[str, tuple[Pharmacophore, ...]] = {
    "tubulin polymerization inhibitor": (
        _core("combretastatin A-4", r"COc1ccc(/C=C\c2cc(OC)c(OC)c(OC)c2{a})c{b}c1{p}", 0.3,
              {"": 4.0, "(O)": 1.0, "(N)": 0.7}),
        _core("nocodazole", "COC(=O)Nc1nc2cc(C(=O)c3cc{b}c{a}s3)ccc2[nH]1", 0.3),
        _core("mebendazole", "COC(=O)Nc1nc2cc(C(=O)c3cc{b}c{a}cc3)ccc2[nH]1", 0.7),
        _core("colchicine", "COc1cc2c(c(OC)c1OC)-c1ccc(OC)c(=O)cc1[C@@H](NC(=O)C{a})C{b}C2", 0.15),
        _core("podophyllotoxin", "COc1cc(c{b}c(OC)c1OC)[C@@H]1[C@H]2[C@@H](COC2=O)[C@H](O)c2cc3OCOc3c{a}c12", 0.2),
    ),
    "actin polymerization inhibitor": (
        _core("cytochalasin D", "{p}O[C@@H]1/C=C/[C@](C)(O)C(=O)[C@@H](C)C/C=C/[C@H]2[C@H](O)C(=C)[C@@H](C)[C@@H]3"
              "[C@]12C(=O)N[C@H]3Cc1cc{b}c{a}cc1", 0.3, {"CC(=O)": 1.0, "": 5.0}),
        _core("latrunculin B", r"CC1CCC2CC(CC(O2)(C2C{a}SC(=O)N2)O)OC(=O)/C=C(C)\CC{b}/C=C\1", 0.5),
        _core("CK-666", "O=C(NCCc1c(C)[nH]c2cc{b}ccc12)c1cc{a}ccc1F", 2.5),
        _core("blebbistatin", "Cc1ccc2N=C3N(CC[C@]3(O)C(=O)c2c1)c1cc{b}c{a}cc1", 2.0),
    ),
    "HDAC inhibitor": (
        _core("vorinostat", "O=C(CCCCCCC(=O)NO)Nc1cc{b}c{a}cc1", 0.8),
        _core("trichostatin A", "CN(C)c1c{b}cc(c{a}c1)C(=O)[C@H](C)/C=C(C)/C=C/C(=O)NO", 0.2),
        _core("belinostat", "O=C(/C=C/c1cccc(c1)S(=O)(=O)Nc1cc{b}c{a}cc1)NO", 0.6),
        _core("panobinostat", "Cc1[nH]c2c{b}cc{a}cc2c1CCNCc1ccc(/C=C/C(=O)NO)cc1", 0.1),
        _core("entinostat", "Nc1cc{p}ccc1NC(=O)c1ccc(CNC(=O)OCc2cc{b}c{a}nc2)cc1", 2.5, {"": 1.0, "(-c8cccs8)": 0.3}),
    ),
    "topoisomerase inhibitor": (
        _core("camptothecin", "CC[C@@]1(O)C(=O)OCc2c1cc1-c3nc4c{b}c{a}c{p}cc4cc3Cn1c2=O", 0.3, {"": 1.0, "(O)": 0.3}),
        _core("daunorubicin", "COc1c{b}c{a}cc2c1C(=O)c1c(O)c3c(c(O)c1C2=O)C[C@@](O)(C(C)=O)C[C@@H]3"
              "O[C@H]1C[C@H](N)[C@H](O)[C@H](C)O1", 0.2),
        _core("mitoxantrone", "O=C1c2c(O)c{b}c{a}c(O)c2C(=O)c2c(NCCNCCO)ccc(NCCNCCO)c12", 0.3),
        _core("amsacrine", "COc1cc(NS(C)(=O)=O)ccc1Nc1c2ccc{a}cc2nc2cc{b}ccc12", 1.2),
    ),
    "proteasome inhibitor": (
        _core("bortezomib", "CC(C)C[C@H](NC(=O)[C@H](Cc1cc{b}c{a}cc1)NC(=O)c1cnccn1)B(O)O", 0.08),
        _core("ixazomib", "CC(C)C[C@H](NC(=O)CNC(=O)c1cc{b}c{a}cc1Cl)B(O)O", 0.25),
        _core("MG-132", "CC(C)C[C@@H](C=O)NC(=O)[C@H](CC(C)C)NC(=O)[C@H](CC(C)C)NC(=O)OCc1cc{b}c{a}cc1", 1.0),
        _core("epoxomicin", "CC(C)C[C@H](NC(=O)[C@H](Cc2cc{b}c{a}cc2)NC(C)=O)C(=O)[C@]1(C)CO1", 0.3),
    ),
    "glucocorticoid receptor agonist": (
        _core("dexamethasone", "C[C@@H]1C[C@H]2[C@@H]3CCC4=CC(=O)C=C[C@]4(C)[C@@]3({p})[C@@H](O)C[C@]2(C)[C@@]1(O)"
              + _STEROID_ESTER, 0.2, {"F": 1.0, "[H]": 4.0}),
        _core("prednisolone", "C[C@]12C[C@H](O)[C@H]3[C@@H](CCC4=CC(=O)C=C[C@]34C)[C@@H]1CC[C@]2(O)"
              + _STEROID_ESTER, 0.6),
        _core("hydrocortisone", "C[C@]12C[C@H](O)[C@H]3[C@@H](CCC4=CC(=O)CC[C@]34C)[C@@H]1CC[C@]2(O)"
              + _STEROID_ESTER, 1.0),
        _core("triamcinolone acetonide", "CC1(C)O[C@@H]2C[C@H]3[C@@H]4CCC5=CC(=O)C=C[C@]5(C)[C@@]4(F)[C@@H](O)"
              "C[C@]3(C)[C@]2(O1)" + _STEROID_ESTER, 0.15),
    ),
    "HMG-CoA reductase inhibitor": (
        _core("atorvastatin", "CC(C)c1c(C(=O)Nc2cc{b}c{a}cc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1"
              "CC[C@@H](O)C[C@@H](O)CC(=O)O", 0.8),
        _core("fluvastatin", "CC(C)n1c(/C=C/[C@@H](O)C[C@@H](O)CC(=O)O)c(-c2ccc(F)cc2)c2cc{a}c{b}cc12", 1.0),
        _core("rosuvastatin", "CC(C)c1nc(N(C)S(C)(=O)=O)nc(-c2cc{b}c{a}cc2)c1/C=C/[C@@H](O)C[C@@H](O)CC(=O)O", 1.8),
        _core("pitavastatin", "OC(=O)C[C@H](O)C[C@H](O)/C=C/c1c(C2CC2)nc2cc{a}c{b}cc2c1-c1ccc(F)cc1", 0.3),
        _core("simvastatin acid", "CC{a}C(C)({p})C(=O)O[C@H]1C[C@@H](C)C=C2C=C[C@H](C)[C@H](CC[C@@H](O)C[C@@H](O)"
              "CC(=O)O)[C@H]12", 0.6, {"C": 1.0, "[H]": 2.5}),
    ),
    "mitochondrial uncoupler": (
        _core("FCCP", "N#CC(C#N)=NNc1c{b}c{a}c({p})cc1", 0.5, {"OC(F)(F)F": 1.0, "Cl": 2.5}),
        _core("dinoseb", "Oc1c({p})c{b}c([N+](=O)[O-])c{a}c1[N+](=O)[O-]", 1.2, {"C(C)CC": 1.0, "[H]": 4.0}),
        _core("niclosamide", "Oc1c{b}c{a}c(Cl)cc1C(=O)Nc1ccc(cc1Cl)[N+](=O)[O-]", 0.4),
        _core("BAM15", "Fc1c{a}cc{b}cc1Nc1nc2nonc2nc1Nc1ccccc1F", 0.9),
    ),
    "PI3K/mTOR inhibitor": (
        _core("LY294002", "O=c1cc(N2CCOCC2)oc2c(-c3cc{b}c{a}cc3)cccc12", 2.5),
        _core("PI-103", "{p}c1cc{a}cc(c1)-c1nc(N2CCOCC2)c2oc3nccc{b}c3c2n1", 0.3, {"O": 1.0, "CO": 6.0}),
        _core("buparlisib", "Nc1c{a}c(C(F)(F)F)c(c{b}n1)-c1cc(N2CCOCC2)nc(n1)N1CCOCC1", 0.6),
        _core("dactolisib", "Cn1c(=O)n(-c2cc{b}c(cc2)C(C)(C)C#N)c2c1cnc1ccc(cc12)-c1cnc2ccc{a}cc2c1", 0.15),
        _core("sapanisertib", "CC(C)n1nc(-c2c{a}c{b}c3oc(N)nc3c2)c2c(N)ncnc12", 0.2),
    ),
    "Aurora kinase inhibitor": (
        _core("alisertib", "OC(=O)c1c{b}c{a}c(cc1)Nc1ncc2CN=C(c3cc(Cl)ccc3-c2n1)c1c(F)cccc1F", 0.2),
        _core("tozasertib", "Cc1cc(Nc2cc(N3CCN(C)CC3)nc(Sc3c{b}c{a}c(NC(=O)C4CC4)cc3)n2)n[nH]1", 0.4),
        _core("barasertib", "O=C(Cc1cc(Nc2ncnc3cc{a}c{b}cc23)n[nH]1)Nc1cccc({p})c1", 0.2, {"F": 1.0, "[H]": 3.0}),
        _core("ZM-447439", "COc1cc2c(Nc3ccc(NC(=O)c4cc{b}c{a}cc4)cc3)ncnc2cc1OC", 1.2),
    ),
    "CDK inhibitor": (
        _core("flavopiridol", "CN1CC[C@@H]([C@H](O)C1)c1c(O)cc(O)c2c(=O)cc(oc12)-c1cc{b}c{a}cc1({p})", 0.25,
              {"Cl": 1.0, "[H]": 3.0}),
        _core("dinaciclib", "CCc1cnn2c1nc(cc2NCc1c{b}cc{a}nc1)N1CCCC[C@H]1CCO", 0.1),
        _core("roscovitine", "CC[C@H](CO)Nc1nc(NCc2cc{b}c{a}cc2)c2ncn(C(C)C)c2n1", 2.5),
        _core("SNS-032", "CC(C)(C)c1cnc(CSc2cnc(NC(=O)C3CC{a}NC{b}C3)s2)o1", 0.4),
        _core("AT7519", "O=C(NC1CCNCC1)c1n[nH]cc1NC(=O)c1c(Cl)c{b}c{a}cc1Cl", 0.5),
    ),
    "ATPase inhibitor (cardiac glycoside)": (
        _core("digitoxigenin", _LACTONE_STEROID + "C1=CC(=O)OC1", 1.2, {"": 1.0, _RHAMNOSE: 0.15}),
        _core("bufalin", _LACTONE_STEROID + "c1ccc(=O)oc1", 0.4, {"": 1.0, _RHAMNOSE: 0.3}),
        _core("digoxigenin", "C[C@]12[C@H](O)C[C@H]3[C@@H](C{b}C[C@@H]4C[C@@H](O{p})CC[C@]34C)[C@@]1(O)CC{a}"
              "[C@@H]2C1=CC(=O)OC1", 1.5, {"": 1.0, _RHAMNOSE: 0.2}),
        _core("strophanthidin", "O=C[C@]12CC[C@H](O{p})C[C@]1(O)CC{b}[C@@H]1[C@@H]2CC[C@]2(C)[C@@H](C3=CC(=O)OC3)"
              "C{a}C[C@@]12O", 0.8, {"": 1.0, _RHAMNOSE: 0.2}),
    ),
    "lysosomotropic amine": (
        _core("chloroquine", "C{p}CN(C{p}C)CCCC(C)Nc1c{b}cnc2cc(Cl)c{a}cc12", 2.0, {"": 1.0, "C": 0.6}),
        _core("amiodarone", "CCCCc1oc2cc{b}c{a}cc2c1C(=O)c1cc(I)c(OCCN(CC)CC)c(I)c1", 1.2),
        _core("chlorpromazine", "CN(C)CCCN1c2c{b}cccc2Sc2cc{a}c(Cl)cc12", 2.5),
        _core("tamoxifen", "CCC(=C(c1ccccc1)c1ccc(OCCN(C)C)cc1)c1cc{b}c{a}cc1", 1.5),
        _core("quinacrine", "CCN(CC)CCCC(C)Nc1c2cc(OC)c{a}cc2nc2cc(Cl)c{b}cc12", 0.8),
    ),
    "ER stress inducer": (
        _core("thapsigargin", r"CCCC{b}CCCC(=O)O[C@H]1[C@H](OC(=O)/C(C)=C\C)C(C)=C2[C@@H]1[C@](C)(OC(C)=O)"
              "C[C@H](OC(=O)CC{a}C)[C@@]1(O)[C@H]2OC(=O)[C@@]1(C)O", 0.08),
        _core("cyclopiazonic acid", "CC(=O)C1=C(O)C2C3C(Cc4c{a}c{b}cc5[nH]cc3c45)C(C)(C)N2C1=O", 1.2),
        _core("BHQ", "CC(C)(C)c1c{a}c(O)c(c{b}c1O)C(C)(C)C", 2.5),
        _core("brefeldin A", "C[C@H]1CC{a}C/C=C/[C@@H]2C[C@H](O)C{b}[C@H]2[C@H](O)/C=C/C(=O)O1", 0.3),
        _core("eeyarestatin-like nitrofuran", "O=[N+]([O-])c1ccc(o1)/C=C/C=NNC(=O)Nc1cc{b}c{a}cc1", 1.8),
    ),
}
