"""Tables, findings and plots of the synthetic study from the results of its jobs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dssl_bio.studies import synthetic_reference as reference
from dssl_bio.studies.result import Cell, Interval, Plot, StudyResult, Table
from dssl_bio.studies.synthetic import (
    PENALTIES,
    PENALTY_LAMBDAS,
    SPECIFIC_BETA,
    SyntheticConfig,
    ceilings_key,
    compared,
    compared_key,
    step_1_key,
    step_2_key,
)
from dssl_bio.studies.synthetic_acceptance import Results, acceptance
from dssl_bio.studies.synthetic_data import LABELS
from dssl_bio.studies.synthetic_plane import OURS, Point, plane, point_of, published_points, verdicts, width

FULL_SIZE = 90_000
CHANCE = 0.5


def summarize(config: SyntheticConfig, results: Results) -> StudyResult:
    """Everything the study reports."""
    found = StudyResult("synthetic", config.model_dump(), seconds=sum(r["seconds"] for r in results.values()))
    for noise in config.noises:
        regime = regime_name(noise)
        _ceilings(found, results, noise, regime)
        if "beta" in config.parts:
            _shared(found, config, results, noise, regime)
        points: list[Point] = []
        if "lambda" in config.parts:
            points = _specific(found, config, results, noise, regime)
        if "penalty" in config.parts:
            points += _penalties(found, config, results, noise, regime)
        if "methods" in config.parts:
            _methods(found, config, results, noise, regime, points)
        elif points:
            found.plots.append(plane(points, [], regime))
    if "methods" in config.parts:
        published = published_points()
        ours = [point for point in published if point[0].startswith(OURS)]
        others = [point for point in published if not point[0].startswith(OURS)]
        table, sentences = verdicts(ours, others, "as published, figure 4b")
        found.tables.append(table)
        found.findings += sentences
    if len(config.noises) > 1 and "beta" in config.parts:
        found.findings.append(_regimes(config, results))
    found.checks += acceptance(config, results)
    return found


def regime_name(noise: float) -> str:
    """Whether the minimum necessary information is attainable, in words."""
    return "attainable (no noise)" if noise == 0 else f"unattainable (noise {noise:g})"


def _ceilings(found: StudyResult, results: Results, noise: float, regime: str) -> None:
    rows: list[list[Cell]] = []
    for name, values in results[ceilings_key(noise)]["accuracy"].items():
        known = reference.CEILINGS[name] if noise == 0 else (None,) * 3
        rows.append([name, *values, *known, *_differences(values, known)])
    found.tables.append(Table(
        f"Linear probes of views and true latents, {regime}",
        ("read from", *LABELS, *(f"{label} {what}" for what in ("reference", "difference") for label in LABELS)),
        rows, "What no linear probe of a code can exceed but by chance. Reference: 10,000 pairs without noise."))


def _shared(found: StudyResult, config: SyntheticConfig, results: Results, noise: float, regime: str) -> None:
    full = config.n == FULL_SIZE
    known = {0.0: reference.FIGURE_4A_AT_0, **reference.FIGURE_4A} if full else reference.REDUCED
    rows: list[list[Cell]] = []
    curves: dict[str, list[Interval]] = {label: [] for label in LABELS}
    for beta in config.betas:
        runs = [results[step_1_key(noise, beta, seed, "authors")] for seed in config.seeds]
        values = [Interval.of([run["accuracy"]["shared"][k] for run in runs]) for k in range(3)]
        for label, value in zip(LABELS, values, strict=True):
            curves[label].append(value)
        expected = known.get(beta) if noise == 0 else None
        rows.append([f"{beta:g}", *map(str, values), *(expected or (None,) * 3),
                     *_differences([value.mean for value in values], expected or (None,) * 3),
                     _mean(run["loss"]["infonce"] for run in runs), _mean(run["cosine"] for run in runs),
                     _mean(run["loss"]["diagnostics"]["shared_information_lower_bound"] for run in runs)])
    what = "figure 4a" if full else "authors' code"
    found.tables.append(Table(
        f"Shared code against beta, {regime}",
        ("beta (authors')", *LABELS, *(f"{label} {what}" for label in LABELS), *(f"{label} diff." for label in LABELS),
         "InfoNCE", "cosine", "I(shared; shared) at least, nats"),
        rows, f"Mean over seeds and 95% interval (Student); reference: {what}"
              f"{'' if full else ' at this size, one seed'}; chance {CHANCE}. Beta 951.7 of the authors' is 1 in nats. "
              "InfoNCE at ln 256 = 5.545 is a collapsed code, whose raw outputs a probe may still read."))
    shown = [(beta, i) for i, beta in enumerate(config.betas) if beta > 0]
    found.plots.append(Plot(
        f"Shared code against beta, {regime}",
        [{"type": "scatter", "mode": "lines+markers", "name": name, "x": [beta for beta, _ in shown],
          "y": [curve[i].mean for _, i in shown], "error_y": {"array": [width(curve[i]) for _, i in shown]}}
         for name, curve in curves.items()]
        + [{"type": "scatter", "mode": "lines", "line": {"dash": "dot"}, "name": f"{name}, figure 4a",
            "x": list(reference.FIGURE_4A), "y": [value[k] for value in reference.FIGURE_4A.values()]}
           for k, name in enumerate(curves)],
        "beta (authors' units)", "accuracy of a linear probe", "Dotted: the published curve at full size.", log_x=True))


def _specific(found: StudyResult, config: SyntheticConfig, results: Results, noise: float,
              regime: str) -> list[Point]:
    full = config.n == FULL_SIZE
    known = reference.FIGURE_4B if full else reference.REDUCED_SPECIFIC
    rows: list[list[Cell]] = []
    points = []
    for lambda_ in config.lambdas:
        runs = [results[step_2_key(noise, lambda_, "", seed, "authors")] for seed in config.seeds]
        point = point_of(f"two-step lambda={lambda_:g}", runs)
        points.append(point)
        expected = known.get(lambda_, (None, None)) if noise == 0 else (None, None)
        rows.append([f"{lambda_:g}", str(point[1]), str(point[2]), *expected,
                     *_differences((point[1].mean, point[2].mean), expected),
                     _mean(run["accuracy"]["specific_1"][2] for run in runs), *_dependence(runs)])
    found.tables.append(Table(
        f"First specific code against lambda, beta {SPECIFIC_BETA:g}, {regime}",
        ("lambda", "Y_s1", "Y_c", "Y_s1 reference", "Y_c reference", "Y_s1 difference", "Y_c difference", "Y_s2",
         *DEPENDENCE), rows,
        ("Reference: figure 4b. " if full else "Reference: the authors' code at this size, one seed. ")
        + "CLUB and nearest neighbours: estimates, in nats, of what the specific code repeats of its own shared code."))
    return points


def _penalties(found: StudyResult, config: SyntheticConfig, results: Results, noise: float,
               regime: str) -> list[Point]:
    points: dict[str, Point] = {}
    rows: list[list[Cell]] = []
    gaps: dict[str, list[float]] = {}
    for penalty in PENALTIES:
        for lambda_ in PENALTY_LAMBDAS:
            runs = [results[step_2_key(noise, lambda_, penalty, seed, "nats")] for seed in config.seeds]
            label = f"{penalty} lambda={lambda_:g}"
            points[label] = point = point_of(label, runs)
            own, shared = (Interval.of([run["r2"][part][1] for run in runs]) for part in ("own", "shared"))
            gaps.setdefault(penalty, []).append(point[1].mean - point[2].mean)
            rows.append([label, str(point[1]), str(point[2]), gaps[penalty][-1], str(own), str(shared),
                         *_dependence(runs), _mean(run["processor_seconds"] for run in runs)])
    found.tables.append(Table(
        f"First specific code by penalty, in nats, {regime}",
        ("penalty", "Y_s1", "Y_c", "Y_s1 less Y_c", "R2 of the own latent", "R2 of the shared latent", *DEPENDENCE,
         "processor seconds"), rows,
        "One step-1 model, one contrast, three penalties. R2: share of the true latent's variance that a kernel ridge "
        "reads on test pairs, linear or not. `orthogonality` is the authors' penalty over sqrt(N)."))
    means = {penalty: (sum(gap) / len(gap), min(gap)) for penalty, gap in gaps.items()}
    best = max(means, key=lambda penalty: means[penalty])
    found.findings.append(
        f"{regime}: Y_s1 less Y_c over lambda {', '.join(f'{x:g}' for x in PENALTY_LAMBDAS)}, mean and least: "
        + "; ".join(f"{penalty} {mean:.3f}, {least:.3f}" for penalty, (mean, least) in means.items())
        + f". Recommended by this measure: {best}.")
    return list(points.values())


def _methods(found: StudyResult, config: SyntheticConfig, results: Results, noise: float, regime: str,
             ours: Sequence[Point]) -> None:
    known = reference.REDUCED_METHODS if noise == 0 and config.n != FULL_SIZE else {}
    rows: list[list[Cell]] = []
    others: list[Point] = []
    for label, _, _ in compared():
        runs = [results[compared_key(noise, label, seed)] for seed in config.seeds]
        shared = [str(Interval.of([run["accuracy"]["shared"][k] for run in runs])) for k in range(3)]
        if "specific_1" not in runs[0]["accuracy"]:
            rows.append([label, *shared, *(None,) * 6])
            continue
        point = point_of(label, runs)
        others.append(point)
        expected = known.get(label, (None, None))
        rows.append([label, *shared, str(point[1]), str(point[2]), *expected,
                     *_differences((point[1].mean, point[2].mean), expected)])
    rows.append(["chance", *(CHANCE,) * 5, *(None,) * 4])
    found.tables.append(Table(
        f"Every method, {regime}",
        ("method", *(f"shared {label}" for label in LABELS), "specific Y_s1", "specific Y_c", "Y_s1 reference",
         "Y_c reference", "Y_s1 difference", "Y_c difference"), rows,
        "Same pairs, encoders, epochs and probes. Supervised FactorCL sees Y_c. Reference: the authors' code at this "
        "size, one seed; a random projection keeps what linear probes can read of the views."))
    if ours:
        found.plots.append(plane(ours, others, regime))
        table, sentences = verdicts(ours, others, regime)
        found.tables.append(table)
        found.findings += sentences


def _regimes(config: SyntheticConfig, results: Results) -> str:
    """What beta costs in each regime, relative to what can be had there."""
    parts = []
    for noise in config.noises:
        ceiling = results[ceilings_key(noise)]["accuracy"]["x1"][1]
        curve = [_mean(results[step_1_key(noise, beta, seed, "authors")]["accuracy"]["shared"][1]
                       for seed in config.seeds) for beta in config.betas]
        leaks = [_mean(results[step_1_key(noise, beta, seed, "authors")]["accuracy"]["shared"][0]
                       for seed in config.seeds) for beta in config.betas]
        parts.append(f"{regime_name(noise)}: from beta {config.betas[0]:g} to {config.betas[-1]:g} Y_c goes from "
                     f"{curve[0]:.3f} to {curve[-1]:.3f} (views: {ceiling:.3f}) and Y_s1 from {leaks[0]:.3f} to "
                     f"{leaks[-1]:.3f}")
    return "; ".join(parts) + "."


DEPENDENCE = ("CLUB", "nearest neighbours")


def _dependence(runs: Sequence[Mapping[str, Any]]) -> list[Cell]:
    return [_mean(run["loss"]["diagnostics"][f"specific_shared_{kind}_1"] for run in runs) for kind in ("club", "knn")]


def _differences(values: Sequence[float], expected: Sequence[float | None]) -> list[Cell]:
    return [None if known is None else value - known for value, known in zip(values, expected, strict=True)]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(sum(found) / len(found))
