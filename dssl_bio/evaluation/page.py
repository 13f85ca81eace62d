"""One self-contained HTML page: tables and figures filled into the template, with the plotting library inlined once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment
from plotly.offline import get_plotlyjs

OURS, CHANCE, OTHER = "ours", "chance", ""


@dataclass(frozen=True)
class Cell:
    """A number and, smaller, its interval."""

    text: str
    small: str = ""


@dataclass(frozen=True)
class Row:
    """Cells; kind is ours, chance or empty."""

    cells: list[Cell]
    kind: str = OTHER


@dataclass(frozen=True)
class Table:
    """Column heads and rows."""

    columns: list[str]
    rows: list[Row]


@dataclass(frozen=True)
class Section:
    """A part of the page; one that is not open is folded."""

    title: str
    text: str = ""
    tables: Sequence[Table] = ()
    figures: Sequence[str] = field(default_factory=tuple)
    open: bool = True


def figure_html(figure: go.Figure, name: str) -> str:
    """A figure as HTML without the library."""
    return str(figure.to_html(full_html=False, include_plotlyjs=False, div_id=name,
                              config={"displaylogo": False, "responsive": True}))


def render_page(title: str, subtitle: str, simulated: bool, sections: Sequence[Section], explanations: Sequence[str],
                provenance: Sequence[tuple[str, Any]]) -> str:
    """The page; all text is escaped, only our own figures and the library are not."""
    return _template().render(title=title, subtitle=subtitle, simulated=simulated, sections=sections,
                              explanations=explanations, provenance=provenance, plotly=get_plotlyjs())


@cache
def _template() -> Any:
    text = files("dssl_bio.evaluation").joinpath("evaluation.html").read_text(encoding="utf-8")
    return Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(text)


def percent(number: dict[str, float]) -> Cell:
    """A share as per cent with its interval."""
    return Cell(f"{100 * number['value']:.1f} %", f"[{100 * number['low']:.1f}, {100 * number['high']:.1f}]")


def decimal(number: dict[str, float]) -> Cell:
    """A number of three decimals with its interval."""
    return Cell(f"{number['value']:.3f}", f"[{number['low']:.3f}, {number['high']:.3f}]")
