"""The plane of the specific code: what it tells of its own latent against what it repeats of the shared one."""

from collections.abc import Mapping, Sequence
from typing import Any

from dssl_bio.studies import synthetic_reference as reference
from dssl_bio.studies.result import Cell, Interval, Plot, Table

Point = tuple[str, Interval, Interval]
"""Label, accuracy of the first specific code on Y_s1 (high is wanted) and on Y_c (low is wanted)."""

OURS = "two-step"


def point_of(label: str, runs: Sequence[Mapping[str, Any]]) -> Point:
    """From the runs of all seeds."""
    own, shared = (Interval.of([run["accuracy"]["specific_1"][k] for run in runs]) for k in (0, 1))
    return label, own, shared


def published_points() -> list[Point]:
    """Figure 4b, without intervals."""
    return [(f"{label} #{number}", Interval.of([own]), Interval.of([shared]))
            for label, points in reference.PUBLISHED_PLANE.items() for number, (own, shared) in enumerate(points, 1)]


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


def verdicts(ours: Sequence[Point], others: Sequence[Point], title: str) -> tuple[Table, list[str]]:
    """Each side's points against the other side's, and what that comes to in two sentences."""
    rows: list[list[Cell]] = []
    free: dict[str, list[str]] = {}
    for side, points, rivals in (("baseline", others, ours), (OURS, ours, others)):
        found = [(point, dominance(point, rivals)) for point in points]
        rows += [[side, point[0], str(point[1]), str(point[2]), verdict] for point, verdict in found]
        free[side] = [point[0] for point, verdict in found if verdict == "not dominated"]
    note = ("Dominated: a point of the other side has a higher mean on Y_s1 and a lower one on Y_c; clearly: both by "
            "more than the two 95% half-widths added in quadrature.")
    n_ours, n_others = len(ours) - len(free[OURS]), len(others) - len(free["baseline"])
    return (Table(f"Who dominates, {title}", ("side", "point", "Y_s1", "Y_c", "verdict"), rows, note),
            [f"{title}: two-step dominates {n_others} of {len(others)} points of the baselines in the mean; not "
             f"dominated: {', '.join(free['baseline']) or 'none'}.",
             f"{title}: baselines dominate {n_ours} of {len(ours)} points of two-step in the mean; not dominated: "
             f"{', '.join(free[OURS]) or 'none'}."])


def plane(ours: Sequence[Point], others: Sequence[Point], regime: str) -> Plot:
    """Y_c against Y_s1 of the first specific code: right and low is wanted; open signs are the published points."""
    traces = [{**_trace(name, points), "error_x": {"array": [width(p[1]) for p in points], "thickness": 1},
               "error_y": {"array": [width(p[2]) for p in points], "thickness": 1}}
              for name, points in _by_method([*ours, *others]).items()]
    traces += [{**_trace(f"{name}, published", points), "marker": {"symbol": "circle-open"}, "visible": "legendonly"}
               for name, points in _by_method(published_points()).items()]
    return Plot(f"Specific code: own against shared information, {regime}", traces, "accuracy on Y_s1 (high is wanted)",
                "accuracy on Y_c (low is wanted)",
                "Bars: 95% intervals over seeds. Published points (full size) can be shown from the legend.")


def width(interval: Interval) -> float:
    """Half-width of an interval; 0 for one seed."""
    return interval.half_width if interval.n > 1 else 0.0


def _trace(name: str, points: Sequence[Point]) -> dict[str, Any]:
    return {"type": "scatter", "mode": "markers", "name": name, "x": [p[1].mean for p in points],
            "y": [p[2].mean for p in points], "text": [p[0] for p in points]}


def _by_method(points: Sequence[Point]) -> dict[str, list[Point]]:
    groups: dict[str, list[Point]] = {}
    for point in points:
        groups.setdefault(point[0].split()[0], []).append(point)
    return groups


def _joint(one: Interval, two: Interval) -> float:
    return float((width(one) ** 2 + width(two) ** 2) ** 0.5)
