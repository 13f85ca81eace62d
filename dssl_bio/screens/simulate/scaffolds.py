"""Cores of the molecules that do nothing visible here: ordinary drug-like scaffolds, and near misses.

A near miss is a pharmacophore without the part that binds: an acid for a hydroxamate, a peptide without warhead, a
statin without its dihydroxy acid. Decorations are those of the active molecules, so that neither a decoration nor
a familiar ring gives activity away.
"""

NEAR_MISSES: dict[str, dict[str, str]] = {
    "tubulin polymerization inhibitor": {
        "monomethoxystilbene": "COc1c{a}cc(/C=C/c2cc{b}ccc2)cc1",
        "2-methylbenzimidazole ketone": "Cc1nc2cc(C(=O)c3cc{b}c{a}cc3)ccc2[nH]1",
    },
    "actin polymerization inhibitor": {"tryptamine anisamide": "O=C(NCCc1c[nH]c2cc{b}ccc12)c1cc{a}ccc1OC"},
    "HDAC inhibitor": {
        "suberanilic acid": "O=C(CCCCCCC(=O)O)Nc1cc{b}c{a}cc1",
        "cinnamic ester sulfonamide": "O=C(/C=C/c1cccc(c1)S(=O)(=O)Nc1cc{b}c{a}cc1)OC",
    },
    "topoisomerase inhibitor": {
        "anthraquinone": "O=C1c2ccccc2C(=O)c2c{b}c{a}ccc12",
        "acridone": "O=c1c2cc{a}ccc2[nH]c2cc{b}ccc12",
    },
    "proteasome inhibitor": {
        "leucyl amide": "CC(C)C[C@H](NC(=O)[C@H](Cc1cc{b}c{a}cc1)NC(=O)c1cnccn1)C(N)=O",
        "leucine benzyl carbamate": "CC(C)C[C@H](NC(=O)OCc1cc{b}c{a}cc1)C(=O)N(C)C",
    },
    "glucocorticoid receptor agonist": {
        "testosterone benzoate": "C[C@]12CC[C@H]3[C@@H](CCC4=CC(=O)CC[C@]34C)[C@@H]1CC[C@@H]2OC(=O)c1cc{b}c{a}cc1",
        "pregnenolone benzoate": "CC(=O)[C@H]1CC[C@H]2[C@@H]3CC=C4C[C@@H](OC(=O)c5cc{b}c{a}cc5)CC[C@]4(C)"
                                 "[C@H]3CC[C@]12C",
    },
    "HMG-CoA reductase inhibitor": {
        "3-aryl indole acid": "CC(C)n1c(CCC(=O)O)c(-c2ccc(F)cc2)c2cc{a}c{b}cc12",
        "tetrasubstituted pyrrole": "CC(C)c1c(C(=O)Nc2cc{b}c{a}cc2)c(-c2ccccc2)c(-c2ccc(F)cc2)n1CCO",
    },
    "mitochondrial uncoupler": {
        "methylated salicylanilide": "COc1c{b}c{a}c(Cl)cc1C(=O)N(C)c1ccc(C#N)cc1",
        "hydrazine amide": "CC(=O)NNc1c{b}c{a}c(OC(F)(F)F)cc1",
    },
    "PI3K/mTOR inhibitor": {"8-aryl chromone": "O=c1cc(C)oc2c(-c3cc{b}c{a}cc3)cccc12"},
    "Aurora kinase inhibitor": {"dimethoxyquinazoline ether": "COc1cc2c(Oc3cc{b}c{a}cc3)ncnc2cc1OC"},
    "CDK inhibitor": {
        "7-methoxyflavone": "COc1ccc2c(=O)cc(oc2c1)-c1cc{b}c{a}cc1",
        "N-alkyl purine": "CC(C)n1cnc2c1ncnc2OCc1cc{b}c{a}cc1",
    },
    "ATPase inhibitor (cardiac glycoside)": {
        "5-androstene methyl ester": "COC(=O)[C@H]1C{a}C[C@H]2[C@@H]3CC=C4C[C@@H](O)CC[C@]4(C)[C@H]3C{b}C[C@]12C",
    },
    "lysosomotropic amine": {
        "4-aminoquinoline acid": "OC(=O)CCCNc1c{b}cnc2cc(Cl)c{a}cc12",
        "phenothiazine amide": "CC(=O)N1c2c{b}cccc2Sc2cc{a}c(Cl)cc12",
    },
    "ER stress inducer": {"semicarbazide": "NC(=O)NN=Cc1ccc(o1)-c1cc{b}c{a}cc1"},
}
"""Mechanism -> name -> template, as in `pharmacophores`."""

ORDINARY: dict[str, str] = {
    "arylacetic acid": "OC(=O)C(C)c1cc{b}c{a}cc1",
    "anilide": "CC(=O)Nc1cc{b}c{a}cc1",
    "sulfonamide antibiotic": "Nc1ccc(cc1)S(=O)(=O)Nc1c{b}cc{a}cn1",
    "diaryl urea": "O=C(Nc1cc{b}ccc1)Nc1cc{a}cnc1",
    "xanthine": "Cn1c2nc(CC{b}C{a})[nH]c2c(=O)n(C)c1=O",
    "triazole antifungal": "OC(Cn1cncn1)(Cn1cncn1)c1cc{b}c{a}cc1",
    "penicillin": "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3cc{b}c{a}cc3)C(=O)N2[C@H]1C(=O)O",
    "fluoroquinolone": "CCn1cc(C(=O)O)c(=O)c2cc(F)c{a}c{b}c12",
    "sulfonylurea": "O=C(NC1CCCCC1)NS(=O)(=O)c1cc{b}c{a}cc1",
    "dihydropyridine": "COC(=O)C1=C(C)NC(C)=C(C(=O)OC)C1c1cc{b}c{a}cc1",
    "barbiturate": "CCC1(c2cc{b}c{a}cc2)C(=O)NC(=O)NC1=O",
    "benzodiazepinone": "CN1C(=O)CN=C(c2cc{b}ccc2)c2cc{a}ccc12",
    "hydantoin": "O=C1NC(=O)C(c2ccccc2)(c2cc{b}c{a}cc2)N1",
    "thiazide": "NS(=O)(=O)c1cc2c(cc1Cl)NC(c1cc{b}c{a}cc1)NS2(=O)=O",
    "oxazolidinone": "CC(=O)NC[C@H]1CN(c2cc{b}c{a}cc2)C(=O)O1",
    "coumarin": "O=c1oc2cc{b}c{a}cc2cc1C(=O)NC",
    "pyrazolone": "Cc1cc(=O)n(-c2cc{b}c{a}cc2)n1C",
    "celecoxib-like pyrazole": "Cc1ccc(cc1)-c1cc(C(F)F)nn1-c1cc{b}c{a}cc1",
    "angiotensin biphenyl": "OC(=O)c1ccccc1-c1cc{b}c(CNC(=O)C{a})cc1",
    "benzothiazole": "CC(=O)Nc1nc2c{b}c{a}ccc2s1",
    "isoxazole amide": "Cc1onc(-c2cc{b}c{a}cc2)c1C(=O)NC",
    "oxadiazole": "c1cc{b}ccc1-c1nnc(o1)-c1cc{a}ccc1",
    "phthalimide": "O=C1N(CCC(=O)O)C(=O)c2c{b}c{a}ccc12",
    "piperidine amide": "O=C(c1cc{b}c{a}cc1)N1CCC(C(N)=O)CC1",
    "tetrahydroisoquinoline amide": "CC(=O)N1CCc2cc{b}c{a}cc2C1",
    "indole acetamide": "NC(=O)Cc1c[nH]c2cc{b}c{a}cc12",
    "aryl ether propanol": "OC(COc1cc{b}c{a}cc1)CN1CCCC1=O",
    "thiophene carboxamide": "O=C(NCc1cc{b}ccc1)c1cc{a}cs1",
    "pyridine ether": "COCCOc1ncc(C(=O)Nc2cc{b}c{a}cc2)cc1",
    "tetrazole": "c1cc{b}c{a}cc1Cn1nnc(n1)C1CCCC1",
    "spiro lactam": "O=C1NCC2(CCN(CC2)C(=O)c2cc{b}c{a}cc2)C1",
    "nucleoside-like": "O=c1cc{a}n(C2CC(O)C(CO)O2)c(=O)[nH]1",
    "glycine sulfonamide": "COC(=O)CNS(=O)(=O)c1cc{b}c{a}cc1",
    "pyrimidine": "Cc1nc(N2CCCC2)cc(n1)-c1cc{b}c{a}cc1",
    "imidazopyridine": "Cc1nc2cc{b}c{a}cn2c1C(=O)NC1CC1",
    "cyclohexyl benzamide": "OC1CCC(CC1)NC(=O)c1cc{b}c{a}cc1",
}
"""Name -> template, after the cores of marketed drugs without a morphological effect on U2OS cells."""
