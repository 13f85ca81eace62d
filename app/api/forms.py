"""What is sent and what comes back, with a sentence on every field: the interface's own description is made of this."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_MOLECULES = 100
MAX_TOP = 50
DEFAULT_TOP = 10
MAX_TEXT = 4_000
"""Longer than any SMILES that is accepted: those are refused with the sentence that the pages show too."""
MAX_NAME = 300
MAX_FEATURES = 100_000
MAX_DOSE_UM = 1e9
Name = Annotated[str, Field(max_length=MAX_NAME)]
BundleName = Annotated[Name | None, Field(
    description="Name of the bundle as /health lists it; the first one when left out.")]
TopK = Annotated[int, Field(ge=1, le=MAX_TOP, description="Hits of each question.")]
DoseUm = Annotated[float | None, Field(
    gt=0, le=MAX_DOSE_UM, allow_inf_nan=False,
    description="Compares with each molecule's dose nearest to this one (uM); all doses when left out.")]

Light = Literal["corrected", "screen"]
LIGHT = ("corrected: the images are evenly lit, or were corrected for uneven light. screen: they are whole fields as "
         "the screen's microscope gave them; the mean illumination of its plates is divided out.")


class Form(BaseModel):
    """What is sent: an unknown field is refused, so that a misspelt one is not overlooked."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """Why a request was refused."""

    message: str = Field(description="What was expected and what came, as a sentence.")


class BundleFacts(BaseModel):
    """A bundle that is served."""

    name: str
    id: str = Field(description="Names the bundle by its content.")
    model_id: str
    screen: str
    reads: Literal["images", "profiles"]
    channels: list[str] = Field(description="That the model reads, in its order; empty for profiles.")
    n_features: int = Field(description="That a profile must hold; 0 for images.")
    entries: int = Field(description="Phenotypes that can be found.")
    molecules: int = Field(description="Molecules that can be found for a phenotype.")
    doses_um: list[float]
    simulated: bool
    warning: str = Field(description="What a reader of any result must know of this bundle; often empty.")


class Health(BaseModel):
    """That the server answers, and what it serves."""

    status: Literal["ok"]
    version: str
    bundles: list[BundleFacts]


class MoleculesAsked(Form):
    """Molecules whose phenotypes are sought."""

    molecules: list[Annotated[str, Field(max_length=MAX_TEXT)]] = Field(
        min_length=1, max_length=MAX_MOLECULES,
        description="SMILES, or names or InChIKeys known to the bundle; one that is no molecule gets its own message.",
        examples=[["CC(=O)Oc1ccccc1C(=O)O", "Cn1cnc2c1c(=O)n(C)c(=O)n2C"]])
    bundle: BundleName = None
    dose_um: DoseUm = None
    top_k: TopK = DEFAULT_TOP


class PhenotypeHit(BaseModel):
    """A phenotype that cells should show, given the molecule."""

    rank: int
    entry_key: str
    molecule_id: str | None
    compound: str | None
    dose_um: float | None
    plate: str | None = Field(description="Several are joined by a semicolon.")
    well: str | None
    mechanism: str | None
    score: float = Field(description="Cosine of the shared representations; not a probability.")
    p: float = Field(description="One-sided, empirical, on the null that the answer names.")
    p_resolvable: bool = Field(description="False where no draw of the null scores as high: p and q are upper bounds.")
    q: float = Field(description="Benjamini-Hochberg over the question's whole gallery.")
    own: bool = Field(description="The phenotype was measured with this very molecule.")
    cells_left: float | None = Field(description="As a share of the plate's untreated wells; null when not counted.")
    few_cells: bool = Field(description="So few are left that the phenotype may be that of dying cells.")
    all_flagged: bool = Field(description="Every site behind the phenotype is flagged by quality control.")


class MoleculeAnswer(BaseModel):
    """The phenotypes of one molecule, or why there are none."""

    query: str = Field(description="As it was sent.")
    status: Literal["ok", "error"]
    message: str = Field(description="What is wrong with the query; empty when nothing is.")
    smiles: str = Field(description="Of the standardised parent that was searched.")
    inchikey: str
    found_by: Literal["SMILES", "name", "InChIKey", ""]
    changes: list[str] = Field(description="What standardisation did.")
    compound: str
    mechanism: str
    in_screen: bool = Field(description="Its phenotype was measured in this screen.")
    split: str = Field(description="train, valid or test of the model; empty when the model has never met it.")
    standing: str = Field(description="Whether its hits are remembered or predicted, as a sentence.")
    trust: str = Field(description="How far it is from the training molecules and what recall to expect there.")
    verdict: str = Field(description="Says so where nothing stands out from unrelated pairs; empty otherwise.")
    own_rank: int | None = Field(description="Rank of its own measured phenotype among all searched.")
    hits: list[PhenotypeHit]


class PhenotypesFound(BaseModel):
    """Phenotypes of each molecule asked, in the order they were asked."""

    bundle: str
    model_id: str
    warning: str
    null: str = Field(description="What p is counted on.")
    answers: list[MoleculeAnswer]


class EntryAsked(Form):
    """A phenotype of the bundle whose molecules are sought."""

    entry_key: Annotated[Name, Field(description="As hits name it.")]
    bundle: BundleName = None
    top_k: TopK = DEFAULT_TOP


class ProfileAsked(Form):
    """A profile of one's own whose molecules are sought."""

    profile: dict[Name, Annotated[float, Field(allow_inf_nan=False)]] = Field(
        max_length=MAX_FEATURES, description="Normalised value of every feature that the model reads, by its name.")
    bundle: BundleName = None
    top_k: TopK = DEFAULT_TOP


class MoleculeFound(BaseModel):
    """A molecule that should give the phenotype."""

    rank: int
    molecule_id: str
    smiles: str
    inchikey: str
    compound: str | None
    mechanism: str | None
    score: float
    p: float
    p_resolvable: bool
    q: float
    own: bool = Field(description="The molecule that the cells were given.")
    split: str = Field(description="train, valid or test of the model; empty when it was in none.")


class MoleculesFound(BaseModel):
    """Molecules of the library, best first."""

    bundle: str
    model_id: str
    warning: str
    null: str
    notes: list[str] = Field(description="What to know of this answer, each a sentence.")
    own_rank: int | None = Field(description="Rank of the molecule that the cells were given, where that is known.")
    molecules: list[MoleculeFound]


class FactorPlace(BaseModel):
    """Where a molecule or a phenotype lies on one axis of its own specific representation."""

    name: str
    kind: str = Field(description="number, class or component.")
    score: float = Field(description="How well the factor is read from the representation on held-out data, or the "
                                     "share of variance of a component.")
    metric: str = Field(description="Of the score.")
    percentile: float = Field(description="From 0 to 100 among the training set.")
    high: list[str] = Field(description="Keys of the training set's rows at the upper end.")
    low: list[str]


class FactorsFound(BaseModel):
    """What the specific representation tells of a molecule or a phenotype."""

    bundle: str
    model_id: str
    warning: str
    side: Literal["molecule", "phenotype"]
    name: str = Field(description="SMILES of the standardised molecule, or the key of the entry.")
    factors: list[FactorPlace]
    atoms_shared: list[float] = Field(description="How far the shared vector turns without each heavy atom, in the "
                                                  "order of the SMILES; empty for phenotypes and very large molecules.")
    atoms_specific: list[float]
