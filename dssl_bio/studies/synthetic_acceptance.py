"""The acceptance tests of the synthetic study: T1 and T7 to T14 at reduced size, figure 4a at full size.

Ranges come from runs of the authors' code, one seed, widened by about two standard errors.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dssl_bio.studies import synthetic_reference as reference
from dssl_bio.studies.result import Check
from dssl_bio.studies.synthetic import (
    SyntheticConfig,
    ceilings_key,
    compared_key,
    log_minibatch,
    step_1_key,
    step_2_key,
)

Results = dict[str, dict[str, Any]]

FIGURE_TOLERANCE = CEILING_TOLERANCE = 0.02
BUDGET = ("n", "epochs", "specific_epochs", "learning_rate")


def acceptance(config: SyntheticConfig, results: Results) -> list[Check]:
    """The tests whose size and jobs this run has; without noise, on the first seed (figure 4a: mean over seeds)."""
    checks: list[Check] = []
    if 0.0 not in config.noises:
        return checks
    if _same_budget(config, SyntheticConfig()):
        for test in _reduced(config, results):
            _try(checks, test)
    if _same_budget(config, SyntheticConfig.full()):
        for beta in config.betas:
            _try(checks, partial(_figure_4a, config, results, beta))
    return checks


def _same_budget(one: SyntheticConfig, two: SyntheticConfig) -> bool:
    return all(getattr(one, name) == getattr(two, name) for name in BUDGET)


def _reduced(config: SyntheticConfig, results: Results) -> list[Callable[[], Check]]:
    seed = config.seeds[0]

    def step_1(beta: float) -> dict[str, Any]:
        return results[step_1_key(0.0, beta, seed, "authors")]

    def specific(lambda_: float) -> dict[str, Any]:
        return results[step_2_key(0.0, lambda_, "", seed, "authors")]

    return [lambda: _t1(results[ceilings_key(0.0)]),
            *(partial(test, step_1) for test in (_t7, _t8, _t9)),
            *(partial(test, specific) for test in (_t10, _t11, _t12, _t13)),
            lambda: _t14(results[compared_key(0.0, "joint_opt released a=1 lambda=1", seed)])]


def _figure_4a(config: SyntheticConfig, results: Results, beta: float) -> Check:
    expected = reference.FIGURE_4A_AT_0 if beta == 0 else reference.FIGURE_4A[beta]
    runs = [results[step_1_key(0.0, beta, seed, "authors")]["accuracy"]["shared"] for seed in config.seeds]
    values = [sum(run[k] for run in runs) / len(runs) for k in range(3)]
    return Check(f"figure 4a, beta {beta:g}", f"{_three(expected)} +-{FIGURE_TOLERANCE}", _three(values),
                 all(abs(a - b) <= FIGURE_TOLERANCE for a, b in zip(values, expected, strict=True)))


def _t1(found: dict[str, Any]) -> Check:
    away = max(abs(value - known) for name, row in reference.CEILINGS.items()
               for value, known in zip(found["accuracy"][name], row, strict=True))
    return Check("T1", f"labels half ones; linear ceilings within {CEILING_TOLERANCE}",
                 f"{_three(found['balance'])}, largest difference {away:.3f}",
                 found["balance"] == [0.5] * 3 and away <= CEILING_TOLERANCE)


def _try(checks: list[Check], test: Callable[[], Check]) -> None:
    try:
        checks.append(test())
    except KeyError:  # its jobs are not part of this run
        return


def _inside(values: Sequence[float], ranges: Sequence[tuple[float, float]]) -> bool:
    return all(low <= value <= high for value, (low, high) in zip(values, ranges, strict=True))


def _three(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def _t7(step_1: Callable[[float], dict[str, Any]]) -> Check:
    run = step_1(0.1)
    values = [*run["accuracy"]["shared"], run["loss"]["infonce"]]
    return Check("T7", "beta 0.1: Y_s1 .64-.69, Y_c .74-.79, Y_s2 .60-.66, InfoNCE < .08", _three(values),
                 _inside(values, ((0.64, 0.69), (0.74, 0.79), (0.60, 0.66), (0, 0.08))))


def _t8(step_1: Callable[[float], dict[str, Any]]) -> Check:
    runs = [step_1(beta)["accuracy"]["shared"] for beta in (0.1, 1.0, 10.0, 100.0, 1000.0)]
    falling = all(later[k] <= earlier[k] + 0.02 for earlier, later in zip(runs, runs[1:], strict=False)
                  for k in range(3))
    apart = min(run[1] - max(run[0], run[2]) for run in runs)
    return Check("T8", "none rises by more than .02 with beta; Y_c above Y_s by .05; Y_c(10) .69-.75",
                 f"falling {falling}, gap {apart:.3f}, Y_c(10) {runs[2][1]:.3f}",
                 falling and apart >= 0.05 and 0.69 <= runs[2][1] <= 0.75)


def _t9(step_1: Callable[[float], dict[str, Any]]) -> Check:
    runs = [step_1(beta) for beta in (100.0, 1000.0)]
    away = max(abs(run["loss"]["infonce"] - log_minibatch()) for run in runs)
    cosine, shared = min(run["cosine"] for run in runs), [run["accuracy"]["shared"][1] for run in runs]
    return Check("T9", "beta 100 and 1000: InfoNCE within .05 of ln 256, cosine > .995, Y_c .64-.72",
                 f"{away:.3f}, {cosine:.4f}, {_three(shared)}",
                 away <= 0.05 and cosine > 0.995 and _inside(shared, ((0.64, 0.72),) * 2))


def _t10(specific: Callable[[float], dict[str, Any]]) -> Check:
    run = specific(0.0)
    values = [*run["accuracy"]["specific_1"], run["orthogonality"]]
    return Check("T10", "lambda 0: Y_s1 .72-.77, Y_c .65-.71, Y_s2 .47-.53, penalty 43-48", _three(values),
                 _inside(values, ((0.72, 0.77), (0.65, 0.71), (0.47, 0.53), (43, 48))))


def _t11(specific: Callable[[float], dict[str, Any]]) -> Check:
    run = specific(1.0)
    values = [*run["accuracy"]["specific_1"], run["orthogonality"]]
    return Check("T11", "lambda 1: Y_s1 .66-.72, Y_c .55-.61, Y_s2 .48-.54, penalty 30-34", _three(values),
                 _inside(values, ((0.66, 0.72), (0.55, 0.61), (0.48, 0.54), (30, 34))))


def _t12(specific: Callable[[float], dict[str, Any]]) -> Check:
    without, with_ = (specific(x)["accuracy"]["specific_1"] for x in (0.0, 1.0))
    drops = without[1] - with_[1], without[0] - with_[0]
    return Check("T12", "lambda 0 to 1: Y_c falls by .07 at least, Y_s1 by .08 at most", _three(drops),
                 drops[0] >= 0.07 and drops[1] <= 0.08)


def _t13(specific: Callable[[float], dict[str, Any]]) -> Check:
    runs = [specific(x)["accuracy"]["specific_1"] for x in (0.1, 1.0, 10.0, 100.0)]
    return Check("T13", "lambda .1 to 100: Y_c .55-.61, Y_s1 .65-.73",
                 f"Y_c {_three([r[1] for r in runs])}, Y_s1 {_three([r[0] for r in runs])}",
                 all(_inside(run[:2], ((0.65, 0.73), (0.55, 0.61))) for run in runs))


def _t14(run: dict[str, Any]) -> Check:
    values = run["accuracy"]["specific_1"][0], run["accuracy"]["shared"][1]
    return Check("T14", "JointOpt as released: specific Y_s1 <= .63, shared Y_c <= .66", _three(values),
                 values[0] <= 0.63 and values[1] <= 0.66)
