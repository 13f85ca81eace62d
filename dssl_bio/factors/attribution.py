"""Which atoms, which channels and places, which feature families a representation depends on: occlusion, part by part.

A weight is how far the representation turns when a part is not seen: 1 - cosine between the whole and the rest. Where
phenotypes are at hand, an atom's weight in the shared part is how much less the molecule then points at those that it
points at: a turn to the side says nothing about phenotypes, and any encoder turns most without its central atoms.
Occlusion needs no gradient, so it is the same for graph, kernel and hybrid encoders; for a graph encoder
`integrated_gradients` gives a second opinion. Whether weights come from what was learned is seen with
`randomised`: an encoder of random weights must give others (Adebayo et al. 2018, arXiv 1810.03292).
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.data import Batch

from dssl_bio.chem.atoms import fingerprints_without, n_atoms
from dssl_bio.chem.graphs import molecule_graph
from dssl_bio.chem.standardize import Molecule
from dssl_bio.errors import MoleculeError
from dssl_bio.learning.disentangled import DisentangledModel
from dssl_bio.learning.inputs import MoleculeBatch, MoleculeInputs
from dssl_bio.learning.model import MOLECULE, PHENOTYPE, molecule_needs
from dssl_bio.learning.run import Run, log_doses

CHUNK = 64
MAX_ATOMS = 120
STEPS = 24
GRID = 4
POINTING = 0.03
"""Temperature at which a molecule points at phenotypes: sharp enough that the few best count."""


@dataclass(frozen=True)
class Weights:
    """Weights of the parts of one input in both representations.

    Attributes:
        shared: (P,) how far the shared vector turns without each part, 0 not at all, 2 to the opposite; or what it
            loses of its cosine with the phenotypes that it points at, nothing below 0.
        specific: (P,) of the specific vector.
    """

    shared: NDArray[np.float64]
    specific: NDArray[np.float64]


def atom_weights(run: Run, molecule: Molecule, dose_um: float | None = None,
                 model: DisentangledModel | None = None, phenotypes: NDArray[np.floating] | None = None) -> Weights:
    """Weights of a molecule's heavy atoms, in the order of its SMILES.

    An atom that is not seen has no features and bonds without features in the graph, as training's masking leaves it,
    and none of the fingerprint environments that hold it.

    Args:
        run: the trained model.
        molecule: standardised.
        dose_um: where the model reads doses.
        model: in place of the run's, such as a `randomised` one.
        phenotypes: (N, D) shared vectors, such as a bundle's entries: the shared part's weights are then what is lost
            of the cosine with the mean of those that the molecule points at.

    Raises:
        MoleculeError: no atoms, or more than 120.
    """
    size = n_atoms(molecule)
    if size == 0:
        raise MoleculeError(f"no atoms to attribute to: {molecule.smiles[:80]!r}")
    if size > MAX_ATOMS:
        raise MoleculeError(f"{size} atoms; attribution is made for at most {MAX_ATOMS}")
    needs = molecule_needs(run.config)
    fingerprints = None
    if needs & {"fingerprint", "kernels"}:
        whole = MoleculeInputs.of([molecule], needs - {"graph"}).fingerprints
        assert whole is not None
        fingerprints = torch.cat([whole, torch.from_numpy(fingerprints_without(molecule, needs))])
    graphs = None
    if "graph" in needs:
        own = molecule_graph(molecule)
        graphs = [own]
        for atom in range(size):
            hidden = copy.copy(own)
            hidden.x = own.x.clone()
            hidden.x[atom] = 0
            hidden.edge_attr = own.edge_attr * (own.edge_index != atom).all(0)[:, None]
            graphs.append(hidden)
    inputs = MoleculeInputs(graphs, fingerprints)
    dose = run.asked_dose(dose_um)
    codes = [_both(model or run.model, MOLECULE, inputs.batch(rows, log_doses(dose, len(rows))))
             for rows in _chunks(size + 1)]
    shared, specific = (torch.cat(part) for part in zip(*codes, strict=True))
    turned = _turned(shared, specific)
    return turned if phenotypes is None else Weights(_lost(shared.double().numpy(), phenotypes), turned.specific)


def integrated_gradients(run: Run, molecule: Molecule, model: DisentangledModel | None = None) -> Weights:
    """Integrated gradients of a graph encoder over its atoms (Sundararajan et al. 2017, arXiv 1703.01365).

    The function is the cosine with the whole molecule's representation, the baseline a graph whose atoms and bonds have
    no features; bonds give half of theirs to either end. Weights may be negative, and sum to 1 minus the baseline's
    cosine up to the error of the sum over 24 steps.

    Raises:
        MoleculeError: no atoms.
        ValueError: the encoder reads something else than a graph alone.
    """
    if molecule_needs(run.config) != {"graph"}:
        raise ValueError("integrated gradients are for encoders that read the graph alone; others are occluded")
    if n_atoms(molecule) == 0:
        raise MoleculeError(f"no atoms to attribute to: {molecule.smiles[:80]!r}")
    net = model or run.model
    net.eval()
    own = molecule_graph(molecule)
    share = (torch.arange(STEPS) + 0.5) / STEPS
    copies = Batch.from_data_list([own] * STEPS)
    atoms = (copies.x * share.repeat_interleave(len(own.x))[:, None]).requires_grad_()
    bonds = (copies.edge_attr * share.repeat_interleave(len(own.edge_attr))[:, None]).requires_grad_()
    batch = Batch(x=atoms, edge_index=copies.edge_index, edge_attr=bonds, batch=copies.batch, _num_graphs=STEPS)
    whole = _both(net, MOLECULE, MoleculeBatch(Batch.from_data_list([own]), None))
    shared = F.normalize(net.shared_encoders[MOLECULE](MoleculeBatch(batch, None)).float(), dim=1)
    specific = F.normalize(net.specific_encoders[MOLECULE](MoleculeBatch(batch, None), shared).float(), dim=1)
    found = []
    for code, target in zip((shared, specific), whole, strict=True):
        of_atoms, of_bonds = torch.autograd.grad((code * target).sum(), (atoms, bonds), retain_graph=True,
                                                 allow_unused=True)
        weight = (of_atoms * copies.x).sum(1).view(STEPS, -1).mean(0)
        if of_bonds is not None and len(own.edge_attr):
            along = (of_bonds * copies.edge_attr).sum(1).view(STEPS, -1).mean(0) / 2
            for end in own.edge_index:
                weight = weight.index_add(0, end, along)
        found.append(weight.detach().double().numpy())
    return Weights(*found)


def channel_weights(run: Run, picture: NDArray[np.floating], grid: int = GRID) -> Weights:
    """Weights of each channel in each place of a tile, (C * grid * grid,) in that order.

    A place that is not seen has the channel's median there.

    Args:
        run: of a model that reads images.
        picture: (C, H, W) scaled; its middle is taken, at the model's tile size.
        grid: places along each side.
    """
    size = min(run.config.image.tile_px, *picture.shape[1:])
    top, left = (picture.shape[1] - size) // 2, (picture.shape[2] - size) // 2
    tile = torch.from_numpy(np.ascontiguousarray(picture[:, top:top + size, left:left + size], dtype=np.float32))
    edges = np.linspace(0, size, grid + 1).round().astype(int)
    tiles = [tile]
    for channel, middle in enumerate(tile.flatten(1).median(1).values):
        for y in range(grid):
            for x in range(grid):
                hidden = tile.clone()
                hidden[channel, edges[y]:edges[y + 1], edges[x]:edges[x + 1]] = middle
                tiles.append(hidden)
    stacked = torch.stack(tiles)
    codes = [_both(run.model, PHENOTYPE, stacked[rows]) for rows in _chunks(len(stacked))]
    return _turned(*(torch.cat(part) for part in zip(*codes, strict=True)))


def family_weights(run: Run, profile: NDArray[np.floating], usual: NDArray[np.floating],
                   codes: NDArray[np.integer]) -> Weights:
    """Weights of the feature families of a profile, (K,): those of a family that is not seen have usual values.

    Args:
        run: of a model that reads profiles.
        profile: (F,) normalised.
        usual: (F,) such as the mean profile of the screen.
        codes: (F,) number of each feature's family, from 0.
    """
    n = int(codes.max()) + 1
    rows = np.repeat(np.asarray(profile, dtype=np.float32)[None], n + 1, axis=0)
    for family in range(n):
        rows[family + 1, codes == family] = usual[codes == family]
    return _turned(*_both(run.model, PHENOTYPE, torch.from_numpy(rows)))


def randomised(run: Run, seed: int = 0) -> DisentangledModel:
    """A copy of the model whose learned weights are drawn anew; what was fitted to the screen (kernels) is kept."""
    model = copy.deepcopy(run.model)
    torch.manual_seed(seed)
    for module in model.modules():
        if module is not model and hasattr(module, "reset_parameters"):
            module.reset_parameters()  # type: ignore[operator]
    return model.eval()


def share_on(weights: NDArray[np.floating], atoms: NDArray[np.integer]) -> float:
    """Share of the positive weight that lies on some atoms; NaN where all weights are 0."""
    positive = np.clip(weights, 0, None)
    return float(positive[atoms].sum() / positive.sum()) if positive.sum() > 0 else float("nan")


def _both(model: DisentangledModel, modality: int, inputs: MoleculeBatch | Tensor) -> tuple[Tensor, Tensor]:
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        view = model.view(modality, inputs.to(device))
    return view.shared.cpu().clone(), view.specific.cpu().clone()  # clones may take part in gradients


def _turned(shared: Tensor, specific: Tensor) -> Weights:
    """From codes of the whole (first row) and of the whole without each part."""
    return Weights(*((1 - (code[1:] @ code[0]).double().numpy()).clip(0) for code in (shared, specific)))


def _lost(shared: NDArray[np.float64], phenotypes: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosine with the phenotypes that the whole (first row) points at, less that of the whole without each part."""
    scores = phenotypes @ shared[0] / POINTING
    share = np.exp(scores - scores.max())
    target = share @ phenotypes
    return ((shared[0] - shared[1:]) @ target / max(float(np.linalg.norm(target)), 1e-12)).clip(0)


def _chunks(n: int) -> list[Sequence[int]]:
    return [range(start, min(start + CHUNK, n)) for start in range(0, n, CHUNK)]
