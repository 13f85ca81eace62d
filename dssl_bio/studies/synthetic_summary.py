"""Tables, acceptance tests and plots of the synthetic study from the results of its jobs."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dssl_bio.studies import synthetic_reference as reference
from dssl_bio.studies.result import Cell, Check, Interval, Plot, StudyResult, Table
from dssl_bio.studies.synthetic import (
    SPECIFIC_BETA,
    SyntheticConfig,
    compared,
    compared_key,
    log_minibatch,
    step_1_key,
    step_2_key,
)

Results = dict[str, dict[str, Any]]
Point = tuple[str, Interval, Interval]
"""Label, accuracy of the first specific code on Y_s1 (high is wanted) and on Y_c (low is wanted)."""

FULL_SIZE = 90_000


def summarize(config: SyntheticConfig, results: Results) -> StudyResult:
    """Everything the study reports."""
    found = StudyResult("synthetic", config.model_dump(), seconds=sum(r["seconds"] for r in results.values()))
    for noise in config.noises:
        regime = regime_name(noise)
        if "beta" in config.parts:
            _shared(found, config, results, noise, regime)
        points: list[Point] = []
        if "lambda" in config.parts:
            points = _specific(found, config, results, noise, regime)
        if "penalty" in config.parts:
            points += _penalties(found, config, results, noise, regime)
        if "methods" in config.parts:
            _methods(found, config, results, noise, regime, points)
    if config.noises == (0.0,) and config.n == SyntheticConfig().n:
        found.checks += acceptance(config, results)
    return found


def regime_name(noise: float) -> str:
    """Whether the minimum necessary information is attainable, in words."""
    return "attainable (no noise)" if noise == 0 else f"unattainable (noise {noise:g})"


def _shared(found: StudyResult, config: SyntheticConfig, results: Results, noise: float, regime: str) -> None:
    full = config.n == FULL_SIZE
    known = reference.FIGURE_4A if full else (reference.REDUCED if noise == 0 else {})
    rows: list[list[Cell]] = []
    curves: dict[str, list[Interval]] = {"Y_s1": [], "Y_c": [], "Y_s2": []}
    for beta in config.betas:
        runs = [results[step_1_key(noise, beta, seed, "authors")] for seed in config.seeds]
        values = [Interval.of([run["accuracy"]["shared"][k] for run in runs]) for k in range(3)]
        for name, value in zip(curves, values, strict=True):
            curves[name].append(value)
        expected = known.get(beta)
        rows.append([f"{beta:g}", *map(str, values), *(expected or (None,) * 3),
                     None if expected is None else values[1].mean - expected[1],
                     _mean(run["loss"]["infonce"] for run in runs), _mean(run["cosine"] for run in runs)])
    what = "figure 4a" if full else "authors' code at this size"
    found.tables.append(Table(
        f"Shared code against beta, {regime}",
        ("beta (authors')", "Y_s1", "Y_c", "Y_s2", f"Y_s1 {what}", "Y_c", "Y_s2", "Y_c difference", "InfoNCE",
         "cosine"),
        rows, "Mean over seeds and 95% interval (Student). Beta 951.7 of the authors' is 1 in nats. InfoNCE at "
              "ln 256 = 5.545 is a collapsed code, whose raw outputs a probe may still read."))
    shown = [(beta, i) for i, beta in enumerate(config.betas) if beta > 0]
    found.plots.append(Plot(
        f"Shared code against beta, {regime}",
        [{"type": "scatter", "mode": "lines+markers", "name": name, "x": [beta for beta, _ in shown],
          "y": [curve[i].mean for _, i in shown], "error_y": {"array": [_width(curve[i]) for _, i in shown]}}
         for name, curve in curves.items()]
        + [{"type": "scatter", "mode": "lines", "line": {"dash": "dot"}, "name": f"{name}, figure 4a",
            "x": list(reference.FIGURE_4A), "y": [value[k] for value in reference.FIGURE_4A.values()]}
           for k, name in enumerate(curves)],
        "beta (authors' units)", "accuracy of a linear probe", "Dotted: the published curve at full size.", log_x=True))


def _specific(found: StudyResult, config: SyntheticConfig, results: Results, noise: float,
              regime: str) -> list[Point]:
    full = config.n == FULL_SIZE
    known = reference.FIGURE_4B if full else (reference.REDUCED_SPECIFIC if noise == 0 else {})
    rows: list[list[Cell]] = []
    points = []
    for lambda_ in config.lambdas:
        runs = [results[step_2_key(noise, lambda_, "", seed, "authors")] for seed in config.seeds]
        point = _point(f"two-step lambda={lambda_:g}", runs)
        points.append(point)
        expected = known.get(lambda_)
        away = (None, None) if expected is None else (point[1].mean - expected[0], point[2].mean - expected[1])
        rows.append([f"{lambda_:g}", str(point[1]), str(point[2]), *(expected or (None, None)), *away,
                     _mean(run["accuracy"]["specific_1"][2] for run in runs)])
    found.tables.append(Table(
        f"First specific code against lambda, beta {SPECIFIC_BETA:g}, {regime}",
        ("lambda", "Y_s1", "Y_c", "Y_s1 reference", "Y_c reference", "Y_s1 difference", "Y_c difference", "Y_s2"), rows,
        "Reference: figure 4b." if full else "Reference: the authors' code at this size, one seed."))
    return points


def _penalties(found: StudyResult, config: SyntheticConfig, results: Results, noise: float,
               regime: str) -> list[Point]:
    points = [_point(f"{penalty} lambda={lambda_:g}",
                     [results[step_2_key(noise, lambda_, penalty, seed, "nats")] for seed in config.seeds])
              for penalty in ("cross_covariance", "hsic") for lambda_ in (0.1, 1.0, 10.0)]
    found.tables.append(Table(
        f"First specific code by penalty, in nats, {regime}", ("penalty", "Y_s1", "Y_c", "Y_s1 less Y_c"),
        [[label, str(own), str(shared), own.mean - shared.mean] for label, own, shared in points]))
    best = max(points, key=lambda point: point[1].mean - point[2].mean)
    found.findings.append(f"{regime}: of the penalties in nats, {best[0]} leaves the widest gap between Y_s1 "
                          f"({best[1]}) and Y_c ({best[2]}) in the specific code.")
    return points


def _methods(found: StudyResult, config: SyntheticConfig, results: Results, noise: float, regime: str,
             ours: Sequence[Point]) -> None:
    rows: list[list[Cell]] = []
    others: list[Point] = []
    for label, _, _ in compared():
        runs = [results[compared_key(noise, label, seed)] for seed in config.seeds]
        shared = [str(Interval.of([run["accuracy"]["shared"][k] for run in runs])) for k in range(3)]
        if "specific_1" in runs[0]["accuracy"]:
            point = _point(label, runs)
            others.append(point)
            rows.append([label, *shared, str(point[1]), str(point[2])])
        else:
            rows.append([label, *shared, None, None])
    found.tables.append(Table(
        f"Every method, {regime}", ("method", "shared Y_s1", "Y_c", "Y_s2", "specific Y_s1", "Y_c"), rows,
        "Same pairs, encoders, epochs and probes; chance is 0.5. Supervised FactorCL sees Y_c."))
    if not ours:
        return
    found.plots.append(plane(ours, others, regime))
    verdicts = [(point, dominance(point, ours)) for point in others]
    found.tables.append(Table(
        f"Who dominates, {regime}", ("baseline", "Y_s1", "Y_c", "verdict"),
        [[point[0], str(point[1]), str(point[2]), verdict] for point, verdict in verdicts],
        "Dominated: a two-step point has a higher mean on Y_s1 and a lower one on Y_c; clearly: both by more "
        "than the two 95% half-widths added in quadrature."))
    free = [point[0] for point, verdict in verdicts if verdict == "not dominated"]
    found.findings.append(f"{regime}: two-step dominates {len(others) - len(free)} of {len(others)} points of the "
                          f"baselines; not dominated: {', '.join(free) or 'none'}.")
    beaten = [point[0] for point in ours if dominance(point, others) != "not dominated"]
    found.findings.append(f"{regime}: points of two-step that a baseline dominates in the mean: "
                          f"{', '.join(beaten) or 'none'}.")


def dominance(point: Point, others: Sequence[Point]) -> str:
    """Whether one of the others knows more of Y_s1 and less of Y_c than a point."""
    verdict = "not dominated"
    for _, own, shared in others:
        gains = (own.mean - point[1].mean, point[2].mean - shared.mean)
        if min(gains) <= 0:
            continue
        widths = (_joint(own, point[1]), _joint(shared, point[2]))
        if all(gain > width for gain, width in zip(gains, widths, strict=True)):
            return "clearly dominated"
        verdict = "dominated in the mean"
    return verdict


def plane(ours: Sequence[Point], others: Sequence[Point], regime: str) -> Plot:
    """Y_c against Y_s1 of the first specific code: right and low is wanted."""
    groups: dict[str, list[Point]] = {}
    for point in (*ours, *others):
        groups.setdefault(point[0].split()[0], []).append(point)
    traces = [{"type": "scatter", "mode": "markers", "name": name, "x": [p[1].mean for p in points],
               "y": [p[2].mean for p in points], "text": [p[0] for p in points],
               "error_x": {"array": [_width(p[1]) for p in points], "thickness": 1},
               "error_y": {"array": [_width(p[2]) for p in points], "thickness": 1}}
              for name, points in groups.items()]
    return Plot(f"Specific code: own against shared information, {regime}", traces, "accuracy on Y_s1 (high is wanted)",
                "accuracy on Y_c (low is wanted)", "95% intervals over seeds.")


def acceptance(config: SyntheticConfig, results: Results) -> list[Check]:
    """Tests T7 to T14 on the first seed, where the jobs they need were run."""
    seed = config.seeds[0]

    def step_1(beta: float) -> dict[str, Any]:
        return results[step_1_key(0.0, beta, seed, "authors")]

    def specific(lambda_: float) -> dict[str, Any]:
        return results[step_2_key(0.0, lambda_, "", seed, "authors")]

    checks: list[Check] = []
    for test, runs in ((_t7, step_1), (_t8, step_1), (_t9, step_1),
                       (_t10, specific), (_t11, specific), (_t12, specific), (_t13, specific)):
        _try(checks, partial(test, runs))
    _try(checks, lambda: _t14(results[compared_key(0.0, "joint_opt released a=1 lambda=1", seed)]))
    return checks


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
    values = specific(0.0)["accuracy"]["specific_1"]
    return Check("T10", "lambda 0: Y_s1 .72-.77, Y_c .65-.71, Y_s2 .47-.53", _three(values),
                 _inside(values, ((0.72, 0.77), (0.65, 0.71), (0.47, 0.53))))


def _t11(specific: Callable[[float], dict[str, Any]]) -> Check:
    run = specific(1.0)
    values = [*run["accuracy"]["specific_1"], run["loss"]["dependence"]]
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


def _point(label: str, runs: Sequence[dict[str, Any]]) -> Point:
    own, shared = (Interval.of([run["accuracy"]["specific_1"][k] for run in runs]) for k in (0, 1))
    return label, own, shared


def _mean(values: Any) -> float:
    found = list(values)
    return float(sum(found) / len(found))


def _width(interval: Interval) -> float:
    return interval.half_width if interval.n > 1 else 0.0


def _joint(one: Interval, two: Interval) -> float:
    return float((_width(one) ** 2 + _width(two) ** 2) ** 0.5)
