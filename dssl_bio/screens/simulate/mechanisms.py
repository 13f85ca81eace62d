"""Mechanisms of action and what each does to cells in life; sources are the assays in which each is known."""

from dataclasses import dataclass

from dssl_bio.screens.simulate.morphology import Morphology

INACTIVE = "inactive"


@dataclass(frozen=True)
class Mechanism:
    """A mechanism of action.

    Attributes:
        name: as annotation tables spell it.
        effect: morphology of cells at a saturating dose.
    """

    name: str
    effect: Morphology


MECHANISMS = {
    mechanism.name: mechanism
    for mechanism in (
        # Spindle arrest, then slippage into cells with many small nuclei; without tracks the Golgi scatters.
        Mechanism("tubulin polymerization inhibitor", Morphology(
            cell_loss=0.35, cell_area=0.85, roundness=0.35, multinucleated=0.9, mitotic=0.22, nucleus_area=1.2,
            golgi_dispersion=1.0, mito_compactness=1.8, actin_cortex=1.3, er_compactness=1.4)),
        # Fibres gone, the body collapses onto the nucleus and leaves arms; cytokinesis fails.
        Mechanism("actin polymerization inhibitor", Morphology(
            cell_loss=0.15, cell_area=0.75, protrusions=1.0, multinucleated=0.3, actin_fibres=0.08, actin_cortex=0.4,
            actin_puncta=1.0, er_compactness=1.3)),
        # Open chromatin: large, flat, smooth nuclei in spread cells full of stress fibres.
        Mechanism("HDAC inhibitor", Morphology(
            cell_loss=0.35, cell_area=1.5, elongation=1.45, nucleus_area=1.75, dna=0.62, chromatin_contrast=0.35,
            nucleolus_area=0.8, actin_fibres=2.0, golgi=1.5, mito=1.3, mitotic=0.0)),
        # Arrest in G2 with doubled content, nucleoli rounded up into few large ones.
        Mechanism("topoisomerase inhibitor", Morphology(
            cell_loss=0.6, cell_area=1.7, nucleus_area=2.1, chromatin_contrast=1.7, irregular_nucleus=0.15,
            nucleolus_area=1.7, nucleolus_rna=1.2, mito=1.25, mitotic=0.0, pyknotic=0.05)),
        # Ubiquitinated protein gathers in an aggresome; cells round up and die.
        Mechanism("proteasome inhibitor", Morphology(
            cell_loss=0.5, cell_area=0.75, roundness=0.35, nucleus_area=0.85, rna=1.35, aggregates=1.0, er=0.85,
            nucleolus_rna=0.8, mito_compactness=1.6, mitotic=0.0, pyknotic=0.12)),
        # Subtle by nature: slightly longer and larger cells, more fibres, more ER.
        Mechanism("glucocorticoid receptor agonist", Morphology(
            cell_area=1.2, elongation=1.4, actin_fibres=1.6, er=1.2, golgi=1.3, rna=1.1)),
        # No geranylgeranyl, no Rho: spindle-shaped cells with thin tails and no fibres.
        Mechanism("HMG-CoA reductase inhibitor", Morphology(
            cell_loss=0.3, cell_area=0.62, elongation=3.2, nucleus_elongation=1.35, nucleus_area=0.85,
            actin_fibres=0.25, actin_cortex=1.5, golgi=0.6, er_compactness=1.2)),
        # Membrane potential lost: little dye, and the network falls to pieces.
        Mechanism("mitochondrial uncoupler", Morphology(
            cell_loss=0.1, cell_area=0.95, mito=0.45, mito_fragmentation=1.0, mito_compactness=1.2, er=1.1)),
        # Growth control: small cells, small nucleoli, little RNA.
        Mechanism("PI3K/mTOR inhibitor", Morphology(
            cell_loss=0.2, cell_area=0.62, nucleus_area=0.78, nucleolus_area=0.5, nucleolus_rna=0.8, rna=0.65, er=0.9,
            mito=1.35, mitotic=0.01)),
        # Mitosis without division: giant cells with lobed, polyploid nuclei.
        Mechanism("Aurora kinase inhibitor", Morphology(
            cell_loss=0.5, cell_area=2.0, nucleus_area=2.2, irregular_nucleus=1.0, multinucleated=0.35, dna=1.1,
            golgi_dispersion=0.3, mitotic=0.05)),
        # Transcription stops: nucleoli fall apart, chromatin is smooth, RNA fades.
        Mechanism("CDK inhibitor", Morphology(
            cell_loss=0.5, nucleus_area=0.85, chromatin_contrast=0.4, nucleolus_rna=0.15, nucleolus_area=0.6, rna=0.55,
            er=0.8, mitotic=0.0, pyknotic=0.06)),
        # Na+/K+ pump blocked: translation stops, cells shrink and condense.
        Mechanism("ATPase inhibitor (cardiac glycoside)", Morphology(
            cell_loss=0.55, cell_area=0.5, roundness=0.45, nucleus_area=0.68, dna=1.35, rna=0.5, nucleolus_rna=0.35,
            er=0.7, er_compactness=1.5, actin_cortex=1.4, mito=1.4, mito_compactness=1.5, mitotic=0.0,
            pyknotic=0.08)),
        # Basic amines swell lysosomes: round vacuoles whose rims bind the AGP dyes.
        Mechanism("lysosomotropic amine", Morphology(
            cell_loss=0.1, cell_area=1.1, vacuoles=1.0, golgi=1.6, golgi_dispersion=0.5)),
        # Unfolded-protein response: the ER grows, brightens and packs around the nucleus; the Golgi suffers.
        Mechanism("ER stress inducer", Morphology(
            cell_loss=0.25, cell_area=0.9, er=2.1, er_compactness=1.8, er_granularity=2.0, golgi=0.4,
            golgi_dispersion=0.7, rna=0.85, mito_compactness=1.2)),
    )
}
