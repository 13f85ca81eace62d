"""What a study found, as JSON, as one page with plots that opens without a network, and as text."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from dssl_bio import __version__
from dssl_bio.artefact import write_json, written_whole

Cell = str | float | int | None

JSON, PAGE = "study.json", "study.html"


@dataclass(frozen=True)
class Table:
    """Rows under a title; numbers are shown with three decimals."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Check:
    """An acceptance test: what was expected, what was measured."""

    name: str
    expected: str
    measured: str
    passed: bool


@dataclass(frozen=True)
class Plot:
    """A plotly figure (its traces and layout as plain dictionaries) and what it shows."""

    title: str
    traces: Sequence[dict[str, Any]]
    x: str
    y: str
    caption: str = ""
    log_x: bool = False


@dataclass
class StudyResult:
    """All that a study reports."""

    name: str
    settings: dict[str, Any]
    findings: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether every check is inside its range."""
        return all(check.passed for check in self.checks)


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and the half-width of its 95% interval (Student, n - 1 degrees; NaN for one seed)."""

    mean: float
    half_width: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Interval":
        """From one value a seed."""
        n = len(values)
        width = float(student.ppf(0.975, n - 1) * np.std(values, ddof=1) / math.sqrt(n)) if n > 1 else math.nan
        return cls(float(np.mean(values)), width, n)

    def __str__(self) -> str:
        return f"{self.mean:.3f}" if math.isnan(self.half_width) else f"{self.mean:.3f} ±{self.half_width:.3f}"


def bars(title: str, groups: dict[str, dict[str, Interval]], y: str, caption: str = "") -> Plot:
    """Bars with intervals: a colour for each series, a group of bars for each label.

    Args:
        title: of the plot.
        groups: for each label the value of each series it has.
        y: what is measured.
        caption: below the plot.
    """
    names = list(dict.fromkeys(name for values in groups.values() for name in values))
    traces = []
    for name in names:
        known = {label: values[name] for label, values in groups.items() if name in values}
        traces.append({"type": "bar", "name": name, "x": list(known), "y": [value.mean for value in known.values()],
                       "error_y": {"array": [value.half_width if value.n > 1 else 0.0 for value in known.values()]}})
    return Plot(title, traces, "", y, caption)


def write_study(result: StudyResult, folder: Path) -> None:
    """Writes study.json and study.html, each whole or not at all."""
    write_json(folder / JSON, {
        "study": result.name, "dssl_bio": __version__, "settings": result.settings, "seconds": result.seconds,
        "passed": result.passed, "findings": result.findings, "checks": [vars(check) for check in result.checks],
        "tables": [vars(table) for table in result.tables], "plots": [vars(plot) for plot in result.plots]})
    with written_whole(folder / PAGE) as temporary:
        temporary.write_text(as_page(result), encoding="utf-8")


def as_text(result: StudyResult) -> str:
    """Tables, checks and findings as aligned text."""
    blocks = [_aligned(table) for table in result.tables]
    if result.checks:
        blocks.append(_aligned(_checks_table(result.checks)))
    if result.findings:
        blocks.append("\n".join(f"- {finding}" for finding in result.findings))
    return "\n\n".join(blocks)


def as_page(result: StudyResult) -> str:
    """One HTML document; plotly's script is inside."""
    import plotly.graph_objects as go
    import plotly.io

    parts = []
    for number, plot in enumerate(result.plots):
        figure = go.Figure(list(plot.traces))
        figure.update_layout(title=plot.title, xaxis_title=plot.x, yaxis_title=plot.y, template="plotly_white",
                             height=480, margin={"l": 60, "r": 20, "t": 50, "b": 50})
        if plot.log_x:
            figure.update_xaxes(type="log")
        drawn = plotly.io.to_html(figure, full_html=False, include_plotlyjs=number == 0)
        parts.append(f"<figure>{drawn}<figcaption>{html.escape(plot.caption)}</figcaption></figure>")
    tables = [*([_checks_table(result.checks)] if result.checks else []), *result.tables]
    findings = "".join(f"<li>{html.escape(finding)}</li>" for finding in result.findings)
    settings = "".join(f"<tr><th>{html.escape(str(key))}</th><td>{html.escape(str(value))}</td></tr>"
                       for key, value in result.settings.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Study: {html.escape(result.name)}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}}
table{{border-collapse:collapse;margin:1rem 0}}
td,th{{border-bottom:1px solid #ddd;padding:.25rem .75rem;text-align:left}}
figure{{margin:1.5rem 0}}figcaption,.note{{color:#555;font-size:.9rem}}</style></head>
<body><h1>Study: {html.escape(result.name)}</h1>
<p>DSSL-Bio {__version__}, {result.seconds / 60:.1f} minutes of computing.</p>
<ul>{findings}</ul>
{"".join(parts)}
{"".join(_as_html(table) for table in tables)}
<h2>Settings</h2><table>{settings}</table></body></html>
"""


def shown(value: Cell) -> str:
    """A cell as text."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _checks_table(checks: Sequence[Check]) -> Table:
    rows = [[check.name, check.expected, check.measured, "pass" if check.passed else "FAIL"] for check in checks]
    return Table("Acceptance", ("test", "expected", "measured", ""), rows)


def _aligned(table: Table) -> str:
    cells = [list(table.columns), *([shown(value) for value in row] for row in table.rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(table.columns))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join([table.title, *lines, *([table.note] if table.note else [])])


def _as_html(table: Table) -> str:
    head = "".join(f"<th>{html.escape(column)}</th>" for column in table.columns)
    rows = "".join("<tr>" + "".join(f"<td>{html.escape(shown(value))}</td>" for value in row) + "</tr>"
                   for row in table.rows)
    return (f"<h2>{html.escape(table.title)}</h2><table><tr>{head}</tr>{rows}</table>"
            f"<p class='note'>{html.escape(table.note)}</p>")
