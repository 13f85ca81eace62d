"""FactorCL: shared and unique information by lower and upper contrastive bounds."""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from dssl_bio.learning.disentangled import LossParts
from dssl_bio.learning.losses.critics import PairCritic, nce_bound, nce_club
from dssl_bio.learning.two_view_method import MethodOptions, TwoViewMethod
from dssl_bio.learning.two_view_training import Minibatch


class FactorCLOptions(MethodOptions):
    """Six critics score all pairs of a minibatch, so its cost grows with the square of the minibatch."""

    critic_hidden: int = Field(512, ge=1)


class FactorCL(TwoViewMethod):
    """Liang et al. 2023 (NeurIPS, arXiv 2306.05268), self-supervised: an augmented view stands for the task.

    Maximises S + U1 + U2 with S = NCE(X1;X2) - CLUB(X1;X2|X1',X2') and
    U_i = NCE(Xi;Xi') - CLUB(X1;X2) + NCE(X1;X2|X1',X2'). A condition is appended to both inputs of a critic.
    The critics of the CLUB terms learn by their own NCE on detached codes and are constant where the codes learn.
    Each modality has one encoder and two linear heads: what S is computed on is the shared code, what U is
    computed on the specific one.
    """

    Options: ClassVar[type[MethodOptions]] = FactorCLOptions
    name = "factorcl"
    views = 2

    def build(self) -> None:
        """Encoders, heads and critics."""
        dim, hidden = self.options.dim, self.options.critic_hidden
        self.encoders = nn.ModuleList([self.network(0), self.network(1)])
        self.heads = nn.ModuleDict({part: nn.ModuleList([nn.Linear(dim, dim) for _ in (0, 1)]) for part in "SU"})
        conditioned = dim + self._condition_width()
        self.critics = nn.ModuleDict({
            "S": PairCritic(dim, dim, hidden), "U": PairCritic(dim, dim, hidden),
            "S_given": PairCritic(conditioned, conditioned, hidden),
            "U_given": PairCritic(conditioned, conditioned, hidden),
            "U1": PairCritic(dim, self._task_width(), hidden), "U2": PairCritic(dim, self._task_width(), hidden)})

    def codes(self, modality: int, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs of both heads."""
        features = self.encoders[modality](inputs)
        return self.heads["S"][modality](features), self.heads["U"][modality](features)  # type: ignore[index]

    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """Minus (S + U1 + U2), and the learning loss of the critics of the upper bounds."""
        n = len(batch.views[0][0])
        codes = [self.codes(m, torch.cat(views)) for m, views in enumerate(batch.views)]
        shared, unique = ([c[part][:n] for c in codes] for part in (0, 1))
        shared_task, unique_task = ([c[part][n:] for c in codes] for part in (0, 1))
        shared_given = self._conditioned(shared, shared_task, batch)
        unique_given = self._conditioned(unique, unique_task, batch)
        lower = nce_bound(self.critics["S"](*shared))
        for modality, critic in enumerate(("U1", "U2")):
            lower = lower + nce_bound(self.critics[critic](unique[modality], self._task(unique_task[modality], batch)))
        lower = lower + 2 * nce_bound(self.critics["U_given"](*unique_given))
        upper = nce_club(self._constant("S_given", *shared_given)) + 2 * nce_club(self._constant("U", *unique))
        learning = -nce_bound(self.critics["S_given"](*(x.detach() for x in shared_given)))
        learning = learning - nce_bound(self.critics["U"](*(x.detach() for x in unique)))
        return LossParts.of(lower_bounds=-lower, upper_bounds=upper, critics=learning)

    def _constant(self, critic: str, x: Tensor, y: Tensor) -> Tensor:
        module = self.critics[critic]
        weights = {name: value.detach() for name, value in module.named_parameters()}
        return functional_call(module, weights, (x, y))

    def _conditioned(self, codes: list[Tensor], task: list[Tensor], batch: Minibatch) -> list[Tensor]:
        return [torch.cat([code, other], dim=1) for code, other in zip(codes, task, strict=True)]

    def _task(self, augmented: Tensor, batch: Minibatch) -> Tensor:
        return augmented

    def _task_width(self) -> int:
        return int(self.options.dim)

    def _condition_width(self) -> int:
        return self._task_width()


class SupervisedFactorCLOptions(FactorCLOptions):
    """FactorCL with the classes of a task."""

    n_classes: int = Field(2, ge=2)


class SupervisedFactorCL(FactorCL):
    """The supervised form: the one-hot label of the task takes the place of the augmented view."""

    Options: ClassVar[type[MethodOptions]] = SupervisedFactorCLOptions
    name = "factorcl_sup"

    def loss(self, step: int, batch: Minibatch) -> LossParts:
        """As above; labels are needed.

        Raises:
            ValueError: no labels, or a class beyond n_classes.
        """
        if batch.labels is None:
            raise ValueError("supervised FactorCL needs labels: fit(x1, x2, labels)")
        if int(batch.labels.max()) >= self.options.n_classes or int(batch.labels.min()) < 0:
            raise ValueError(f"expected classes from 0 to {self.options.n_classes - 1}, got {int(batch.labels.max())}")
        return super().loss(step, batch)

    def _one_hot(self, batch: Minibatch) -> Tensor:
        assert batch.labels is not None
        return F.one_hot(batch.labels, self.options.n_classes).float()

    def _conditioned(self, codes: list[Tensor], task: list[Tensor], batch: Minibatch) -> list[Tensor]:
        return [torch.cat([code, self._one_hot(batch)], dim=1) for code in codes]

    def _task(self, augmented: Tensor, batch: Minibatch) -> Tensor:
        return self._one_hot(batch)

    def _task_width(self) -> int:
        return int(self.options.n_classes)
