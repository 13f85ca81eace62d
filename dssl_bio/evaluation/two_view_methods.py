"""The methods of the method library, on fixed features of both sides: kernel features and whitened profiles."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from dssl_bio.chem.kernel_blocks import kernel_blocks
from dssl_bio.chem.standardize import Molecule
from dssl_bio.evaluation.methods import Floats, ProfileMethod, TrainingProfiles
from dssl_bio.learning.baselines.contrastive import CLOOB, SigLIP
from dssl_bio.learning.baselines.dcca import DCCA
from dssl_bio.learning.baselines.dmvae import DMVAE
from dssl_bio.learning.baselines.factorcl import FactorCL
from dssl_bio.learning.baselines.focal import FOCAL
from dssl_bio.learning.baselines.joint_opt import JointOpt
from dssl_bio.learning.encoders.molecule_kernels import KernelsTrunk
from dssl_bio.learning.encoders.phenotype_mlp import ProfileScaler
from dssl_bio.learning.two_view_method import TwoViewMethod

LANDMARKS, COMPONENTS, PROFILE_COMPONENTS = 1000, 128, 40
EPOCHS, MINIBATCH = 60, 128


class TwoViewProfiles(ProfileMethod):
    """A two-view method with its published defaults; features are fitted on training molecules only."""

    seeded = True
    method: ClassVar[type[TwoViewMethod]]

    def fit(self, training: TrainingProfiles, seed: int) -> None:
        """Fits features, then the method."""
        profiles, gallery = (torch.from_numpy(np.asarray(x, np.float32)) for x in (training.profiles, training.gallery))
        blocks = torch.from_numpy(np.array([kernel_blocks(molecule) for molecule in training.molecules]))
        chosen = np.sort(np.random.default_rng(seed).permutation(len(blocks))[:LANDMARKS])
        self._kernels = KernelsTrunk(len(chosen), min(COMPONENTS, len(chosen)), 0.0).eval()
        self._kernels.fit(blocks[chosen])
        n_components = min(PROFILE_COMPONENTS, len(profiles) - 1, profiles.shape[1])
        self._scale, self._gallery = (ProfileScaler(profiles.shape[1], n_components) for _ in range(2))
        self._scale.fit(profiles)
        self._gallery.load_state_dict(self._scale.state_dict())
        spread = gallery.std(0, correction=0)
        self._gallery.mean.copy_(gallery.mean(0))
        self._gallery.spread.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))
        options: Any = self.method.Options(epochs=EPOCHS, minibatch=min(MINIBATCH, len(profiles) // 2), seed=seed,
                                           learning_rate=1e-3)
        self._fitted = self.method(options).fit(self._features(blocks), self._scale(profiles).numpy())

    def place_molecules(self, molecules: Sequence[Molecule]) -> Floats:
        """Shared codes of molecules."""
        blocks = torch.from_numpy(np.array([kernel_blocks(molecule) for molecule in molecules]))
        return self._fitted.embed(0, self._features(blocks)).shared

    def place_profiles(self, profiles: Floats) -> Floats:
        """Shared codes of profiles."""
        return self._fitted.embed(1, self._gallery(torch.from_numpy(np.asarray(profiles, np.float32))).numpy()).shared

    def _features(self, blocks: torch.Tensor) -> NDArray[np.float32]:
        with torch.no_grad():
            return self._kernels.features(blocks).numpy()


def _wrapped(name: str, method: type[TwoViewMethod]) -> type[TwoViewProfiles]:
    return type(f"{method.__name__}Profiles", (TwoViewProfiles,),
                {"name": name, "method": method, "__doc__": method.__doc__, "__module__": __name__})


TWO_VIEW_METHODS: dict[str, type[TwoViewProfiles]] = {
    name: _wrapped(name, method) for name, method in (
        ("siglip", SigLIP), ("cloob", CLOOB), ("dcca", DCCA), ("dmvae", DMVAE), ("factorcl", FactorCL),
        ("focal", FOCAL), ("joint-opt", JointOpt))}
