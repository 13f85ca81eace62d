"""Sentences: what a number, a molecule or a bundle is, said plainly. Texts of users are made harmless here."""

import re
from typing import TYPE_CHECKING

from dssl_bio.retrieval.lookup import Identified
from dssl_bio.retrieval.significance import MIN_DRAWS, Null
from dssl_bio.retrieval.tables import Tables

if TYPE_CHECKING:
    from dssl_bio.retrieval.applicability import Applicability, ExpectedRecall
    from dssl_bio.retrieval.reverse import MoleculeHit
    from dssl_bio.retrieval.search import Hit

COSINE = ("Cosine between what the model reads from the molecule and what it reads from the cells. 1 is the same "
          "direction, 0 unrelated. It is not a probability.")
P = ("How often an unrelated pair of molecule and phenotype scores at least as high. Small is good. One-sided, counted "
     "on the null named above the hits.")
Q = ("The share of false hits to expect among all hits with a p this small, over the whole search "
     "(Benjamini-Hochberg).")

SEEN = ("Whether the model was fitted to this molecule's own phenotype. A molecule that it has seen is remembered; one "
        "that it has not seen is found.")
SHARED = "Cosine between what cells can show of the two molecules: alike means similar phenotypes."
SPECIFIC = "Cosine between what only the structures tell of them."
TANIMOTO = "Likeness of structures as a chemist sees it: count-Morgan fingerprints of radius 2; 1 is identical."
OWN = "Where the molecule's own measured phenotype stands among all entries searched."
CELLS = ("Cells left in these wells, as a share of the untreated wells of their plates. Few cells mean that the "
         "molecule kills them or stops their growth: the phenotype may be that of dying cells.")
NO_UNEVEN_LIGHT, DIVIDE_LIGHT = "My files are corrected, or evenly lit", "Divide out the screen's mean light"
NO_LIGHT = "No illumination is kept with this bundle: your files are read as they are, so correct uneven light before."
TAKEN_AS_EVEN = "The images were taken to be corrected for uneven light already."
OWN_SCALE = "Without untreated cells your image sets its own scale: a change of overall brightness is not seen."
UNLIKE_PROFILES = ("The spread of these values is far from that of this screen's profiles: they were probably not "
                   "normalised in the same way, and the answer below means little.")

COMPARING = ("The training molecules are being compared with each other, once after a start: how far to trust this "
             "answer is told in a minute.")

SMALL_Q, EVEN_Q = 0.05, 0.5
LIKENESS = ((0.5, "Much like the training molecules"), (0.05, "Less like the training molecules than most of them are"),
            (0.0, "Unlike the training molecules"))
"""Least share of training molecules that are further from their own nearest than the molecule is, and what it means."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&^=/@'\"])")


def plain(text: str) -> str:
    """A text in which Markdown and HTML show as they were typed, on one line."""
    visible = "".join(character if character.isprintable() else " " for character in text)
    return _MARKDOWN.sub(r"\\\1", visible)


def sentence(error: Exception) -> str:
    """What is wrong, as a sentence."""
    return sentence_of(str(error))


def sentence_of(text: str) -> str:
    """A text of the library as a sentence of a page."""
    text = text.strip()
    return plain(text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else "."))


def nearness(found: "Applicability", expected: "ExpectedRecall | None") -> str:
    """How far to trust an answer, in one plain sentence: likeness to the training molecules, and what recall to expect.

    `further` of the molecule is the share of training molecules that lie further from their own nearest.
    """
    if found.trained:
        return ("**The model was trained on this very molecule**, so its own phenotype is remembered, not predicted, "
                "and says nothing about new molecules.")
    like = next(text for least, text in LIKENESS if found.further >= least)
    told = f"**{like}** (Tanimoto {found.similarity:.2f} to the nearest)"
    if expected is None:
        return (f"{told}; how often such a molecule finds its own phenotype is not known, because this bundle was "
                "indexed without a benchmark.")
    one = expected.at(found.similarity)
    less = "" if expected.within(found.similarity) else "at most "
    return (f"{told}: {less}{100 * one.recall:.0f} of 100 such molecules find their own phenotype among the first ten "
            f"of {expected.gallery:.0f}, where chance finds {100 * expected.chance:.0f}.")


def standing_out(best_q: float) -> str:
    """What the best hit's q means for the whole answer; nothing where hits stand out."""
    if best_q <= SMALL_Q:
        return ""
    if best_q <= EVEN_Q:
        return (f"Nothing is certain here: of hits as good as the best, a share of {number(best_q)} is expected to be "
                "false (its q).")
    return ("No phenotype expected: none of the hits below is told apart from unrelated pairs. Most molecules change "
            "cells too little to be seen.")


def shortened(text: str, length: int = 60) -> str:
    """A text of at most `length` characters."""
    return text if len(text) <= length else text[:length - 1] + "\N{HORIZONTAL ELLIPSIS}"


def spoken(text: str) -> str:
    """A text for an attribute: a page's cleaner takes away attributes that hold markup, harmless or not."""
    return text.replace("<", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}").replace(
        ">", "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}")


def number(value: float) -> str:
    """Three digits, without an exponent where that is short."""
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"


def p_text(p: float, null: Null) -> str:
    """p, or that no draw of the null reached the score."""
    if p <= null.resolution * (1 + 1e-9):
        return f"not resolvable (below {number(null.resolution)})"
    return number(p)


def q_text(hit: "Hit | MoleculeHit", null: Null) -> str:
    """q; where p is not resolvable, q is only known from above."""
    at_floor = hit.p <= null.resolution * (1 + 1e-9)
    return f"at most {number(hit.q)}" if at_floor else number(hit.q)


def unresolved(hit: "Hit | MoleculeHit", null: Null) -> dict[str, str]:
    """What p and q mean where the null is too small to tell them; nothing elsewhere."""
    if hit.p > null.resolution * (1 + 1e-9):
        return {}
    line = (f"Not resolvable: none of the null's {len(null.scores):,} scores is as high, so the true value is smaller "
            "than can be told, and not zero.")
    return {"p": f"{P} {line}", "q": f"{Q} {line}"}


def null_sentence(null: Null) -> str:
    """What p is counted on."""
    return null_of(null.name, len(null.scores), null.resolution)


def null_of(name: str, n_draws: int, resolution: float) -> str:
    """`null_sentence` from what a bundle's record tells."""
    line = f"p compares each score with {n_draws:,} scores of unrelated pairs: {name}."
    if n_draws < MIN_DRAWS:
        line += f" That is few: a p below {number(resolution)} cannot be told."
    return line


def dose_text(dose_um: float) -> str:
    """A dose with its unit; nothing where there is none."""
    return "" if dose_um != dose_um else f"{dose_um:g} µM"


def cells_text(share: float) -> str:
    """Cells left; nothing where the screen did not count them."""
    return "" if share != share else f"{100 * share:.0f} % of untreated wells"


def standing(identified: Identified) -> str:
    """Whether the bundle knows the molecule, and what that means for the hits."""
    if identified.library_row is None:
        return "New: neither in this screen nor seen in training. Its hits are a prediction."
    where = "Measured in this screen" if identified.in_screen else "Not in this screen"
    line = {
        "train": f"{where}, and in the model's training: the model has seen its phenotype, so its own hits are "
                 "remembered rather than predicted.",
        "valid": f"{where}. The model was not fitted to it, but was chosen with its help (validation).",
        "test": f"{where} and held out from training: its own hits are a prediction that can be checked here.",
    }.get(identified.split, f"{where}; the model has never seen it.")
    if identified.other_stereo:
        line += " The stereochemistry you gave differs from the screen's; phenotypes are joined without it."
    return line


def changes_sentence(identified: Identified) -> str:
    """What standardisation did to the typed structure."""
    if identified.how != "SMILES":
        return f"Found by its {identified.how}; the structure is the screen's."
    if not identified.molecule.changes:
        return "Searched as typed: standardisation changed nothing but the spelling."
    return f"Standardised before the search: {', '.join(identified.molecule.changes)}."


def origin_sentence(bundle: Tables) -> str:
    """Warns where model and phenotypes come from different worlds; empty where there is nothing to warn of."""
    record = bundle.record
    if record["trained_on_simulated"] and record["trained_on"] != record["screen_name"]:
        return (f"The model was trained on the simulated screen {record['trained_on']} and reads cells of "
                f"{record['screen_name']}: this shows that the road works, and says nothing about biology.")
    if bundle.simulated:
        return ("Simulated screen: cells and phenotypes were computed, not measured. Use it to learn the application; "
                "conclude nothing about real molecules.")
    if record["trained_on"] != record["screen_name"]:
        return (f"The model was trained on another screen ({record['trained_on']}) than the one searched "
                f"({record['screen_name']}).")
    return ""
