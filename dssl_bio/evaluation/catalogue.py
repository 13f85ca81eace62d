"""Names of the methods a benchmark can run: ours, the baselines, the method library, and anybody's own."""

from collections.abc import Sequence
from importlib.metadata import entry_points

from dssl_bio.errors import EvaluationError
from dssl_bio.evaluation.baselines import (
    CellCountOnly,
    Descriptors,
    MeanProfile,
    NearestNeighbour,
    OrderOnly,
    PlateOnly,
    RandomVectors,
    SeveralKernelRidge,
    TunedKernelRidge,
)
from dssl_bio.evaluation.cross_modality import CROSS_METHODS, CrossMethod
from dssl_bio.evaluation.learned import ClipRun, DisentangledRun, TrainedMethod, TrainingContext
from dssl_bio.evaluation.methods import Method
from dssl_bio.evaluation.two_view_methods import TWO_VIEW_METHODS

ENTRY_POINTS = "dssl_bio.methods"
KERNEL_RIDGE = "kernel-ridge"
ACROSS = "@"

METHODS: dict[str, type[Method]] = {
    "dssl": DisentangledRun, "clip": ClipRun, KERNEL_RIDGE: TunedKernelRidge,
    "several-kernel-ridge": SeveralKernelRidge, "nearest-neighbour": NearestNeighbour, "descriptors": Descriptors,
    "mean-profile": MeanProfile, "order-only": OrderOnly, "plate-only": PlateOnly, "cell-count": CellCountOnly,
    "random": RandomVectors, **TWO_VIEW_METHODS,
}
TITLES = {
    "dssl": "DisentangledSSL, shared", "clip": "CLIP, same encoders",
    KERNEL_RIDGE: "kernel ridge on fingerprints (tuned)",
    "several-kernel-ridge": "kernel ridge on four kernels (tuned)",
    "nearest-neighbour": "nearest fingerprint neighbour", "descriptors": "physico-chemical descriptors",
    "mean-profile": "mean profile", "order-only": "order only (5 neighbours)", "plate-only": "plate identity only",
    "cell-count": "cell count only", "random": "random vectors", "siglip": "SigLIP", "cloob": "CLOOB", "dcca": "DCCA",
    "dmvae": "DMVAE", "factorcl": "FactorCL", "focal": "FOCAL", "joint-opt": "JointOpt",
}


def known_methods() -> list[str]:
    """Names that `method_class` takes: ours, and those of installed entry points."""
    return [*METHODS, *sorted(point.name for point in entry_points(group=ENTRY_POINTS) if point.name not in METHODS)]


def method_class(name: str) -> type[Method]:
    """The class of a method; a class of one's own comes from an entry point of the group `dssl_bio.methods`.

    `NAME@MODALITY` asks by the molecule's profile in that modality in place of its structure.

    Raises:
        EvaluationError: an unknown name, a class that does not load, or one that is not a Method.
    """
    if name in METHODS:
        return METHODS[name]
    base, at, _ = name.partition(ACROSS)
    if at and base in CROSS_METHODS:
        return CROSS_METHODS[base]
    for point in entry_points(group=ENTRY_POINTS):
        if point.name == name:
            try:
                found = point.load()
            except (ImportError, AttributeError) as cause:
                raise EvaluationError(f"method {name}: {point.value} does not load: {cause}") from cause
            if not (isinstance(found, type) and issubclass(found, Method)):
                raise EvaluationError(f"method {name}: {point.value} is not a subclass of "
                                      "dssl_bio.evaluation.methods.Method (or ProfileMethod)")
            return found
    raise EvaluationError(f"unknown method {name!r}; known: {', '.join(known_methods())}; and, to ask by another "
                          f"modality, {', '.join(f'{base}{ACROSS}MODALITY' for base in CROSS_METHODS)}")


def made(name: str, context: TrainingContext) -> Method:
    """A method ready for one job."""
    cls = method_class(name)
    if issubclass(cls, CrossMethod):
        return cls(name.partition(ACROSS)[2])
    return cls(context) if issubclass(cls, TrainedMethod) else cls()


def checked_methods(names: Sequence[str]) -> list[str]:
    """The names without repetition, after every class was found.

    Raises:
        EvaluationError: none, or an unknown one.
    """
    if not names:
        raise EvaluationError(f"--methods names no method; known: {', '.join(known_methods())}")
    for name in names:
        method_class(name)
    return list(dict.fromkeys(names))
