"""Training that starts from the networks of another run: a GNN that `pretrain` made, or a whole model."""

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from dssl_bio.artefact import identity, read_record, verify
from dssl_bio.errors import RunError
from dssl_bio.learning.disentangled import DisentangledModel
from dssl_bio.learning.encoders.molecule_gnn import GineTrunk
from dssl_bio.learning.encoders.phenotype_cnn import CnnTrunk
from dssl_bio.learning.model import MOLECULE, PHENOTYPE
from dssl_bio.learning.run import PRETRAINED, WEIGHTS, read_model

NETWORKS = ((MOLECULE, GineTrunk, "GNN"), (PHENOTYPE, CnnTrunk, "CNN"))


def start_id(folder: Path) -> str:
    """Name of the run that is started from, by its content."""
    return identity(read_record(folder, "run"))


def start_from(model: DisentangledModel, folder: Path, freeze: bool = False) -> str:
    """Copies the networks (GNN of molecules, CNN of images) of a run into a model, shared and specific encoders alike.

    Args:
        model: changed in place.
        folder: a run, whose checksums are verified first.
        freeze: the GNN is not trained afterwards.

    Returns:
        what was taken, in words.

    Raises:
        RunError: not a run, or its networks have other sizes than the model's.
    """
    sources = _networks_in(folder)
    taken = []
    for modality, kind, name in NETWORKS:
        if name not in sources:
            continue
        for role, encoders in (("shared", model.shared_encoders), ("specific", model.specific_encoders)):
            for network in _of_kind(encoders[modality], kind):
                _copy(sources[name].get(role, sources[name]["shared"]), network, name, folder)
                if freeze and kind is GineTrunk:
                    network.requires_grad_(False)
                taken.append(f"{name} ({role})")
    if not taken:
        return f"start: {folder} holds {' and '.join(sources) or 'no network'}, which the chosen encoders do not read"
    return f"start: {', '.join(taken)} from {folder}" + ("; the GNN is kept as it is" if freeze else "")


def _networks_in(folder: Path) -> dict[str, dict[str, dict[str, Tensor]]]:
    """Weights by network and by role."""
    if verify(folder, "run").get(PRETRAINED):
        return {"GNN": {"shared": load_file(folder / WEIGHTS)}}
    model = read_model(folder)[2]
    found: dict[str, dict[str, dict[str, Tensor]]] = {}
    for modality, kind, name in NETWORKS:
        for role, encoders in (("shared", model.shared_encoders), ("specific", model.specific_encoders)):
            for network in _of_kind(encoders[modality], kind):
                found.setdefault(name, {})[role] = network.state_dict()
    return found


def _of_kind(encoder: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    return [module for module in encoder.modules() if isinstance(module, kind)]


def _copy(weights: dict[str, Tensor], network: nn.Module, name: str, folder: Path) -> None:
    own = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    theirs = {key: tuple(value.shape) for key, value in weights.items()}
    if own != theirs:
        differing = next(key for key in {**own, **theirs} if own.get(key) != theirs.get(key))
        raise RunError(f"the {name} of {folder} has other sizes than the one that is trained ({differing}: "
                       f"{theirs.get(differing)} and {own.get(differing)}); set gine.hidden and gine.layers, or "
                       "image.width and image.blocks, as that run has them")
    network.load_state_dict(weights)
