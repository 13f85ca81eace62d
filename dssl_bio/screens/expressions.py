"""Filter expressions over tables, such as `Dose_um >= 1 and not Metadata_Plate in ["00123", "00124"]`.

Grammar (nothing is ever evaluated as code):

    expression := conjunction { "or" conjunction }
    conjunction := negation { "and" negation }
    negation := "not" negation | "(" expression ")" | comparison
    comparison := column ( == | != | < | <= | > | >= ) literal | column [ "not" ] "in" "[" literal { "," literal } "]"
    literal := "text" | 'text' | number | true | false

A column is a word, or any text between backticks. Rules of comparison:

- A quoted literal compares as text and a bare number as a number, whatever the table's type: `Plate == "00123"` is
  that plate only, `Dose == 10` also finds the text "10.0".
- A missing value satisfies nothing but `!=`; so `a != b` and `not a == b` always agree.
"""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dssl_bio.errors import ConfigError

MAX_CHARACTERS = 10_000
MAX_DEPTH = 50

Literal = str | float | bool
Mask = NDArray[np.bool_]

_TOKEN = re.compile(r"""
    (?P<space>\s+)
  | (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<text>"[^"]*"|'[^']*')
  | (?P<column>`[^`]+`)
  | (?P<operator>==|!=|<=|>=|<|>)
  | (?P<mark>[()\[\],])
  | (?P<word>[^\W\d][\w.]*)
""", re.VERBOSE)
_OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "in")


class Expression(Protocol):
    """A parsed filter."""

    def mask(self, table: pd.DataFrame) -> Mask:
        """Which rows of a table satisfy it (N,).

        Raises:
            ConfigError: a column that the table lacks, or a comparison that its values do not allow.
        """

    def columns(self) -> set[str]:
        """The columns that it reads."""


@dataclass(frozen=True)
class Comparison:
    """A column against one literal."""

    column: str
    operator: str
    literal: Literal

    def mask(self, table: pd.DataFrame) -> Mask:
        """See Expression."""
        values = _column(table, self.column)
        if self.operator == "!=":
            return ~Comparison(self.column, "==", self.literal).mask(table)
        if isinstance(self.literal, bool):
            if self.operator != "==":
                raise ConfigError(f"{self.operator} does not order true and false: {self.column!r}")
            return (as_text(values).str.lower() == str(self.literal).lower()).fillna(False).to_numpy(bool)
        if isinstance(self.literal, str):
            return _compare(as_text(values), self.operator, self.literal)
        return _compare(self._numbers(values), self.operator, self.literal)

    def columns(self) -> set[str]:
        """See Expression."""
        return {self.column}

    def _numbers(self, values: "pd.Series[float]") -> "pd.Series[float]":
        numbers = pd.to_numeric(values, errors="coerce")
        if numbers.isna().all() and values.notna().any():
            seen = values.dropna().iloc[0]
            raise ConfigError(f"column {self.column!r} holds text such as {seen!r}; compare it with quoted text, "
                              f"not with the number {self.literal:g}")
        return numbers


@dataclass(frozen=True)
class Membership:
    """A column against several literals."""

    column: str
    literals: tuple[Literal, ...]

    def mask(self, table: pd.DataFrame) -> Mask:
        """See Expression."""
        _column(table, self.column)
        masks = [Comparison(self.column, "==", literal).mask(table) for literal in self.literals]
        return np.logical_or.reduce([np.zeros(len(table), dtype=bool), *masks])

    def columns(self) -> set[str]:
        """See Expression."""
        return {self.column}


@dataclass(frozen=True)
class Negation:
    """What an expression does not hold for."""

    inner: Expression

    def mask(self, table: pd.DataFrame) -> Mask:
        """See Expression."""
        return ~self.inner.mask(table)

    def columns(self) -> set[str]:
        """See Expression."""
        return self.inner.columns()


@dataclass(frozen=True)
class Combination:
    """Several expressions joined by `and` or by `or`."""

    word: str
    parts: tuple[Expression, ...]

    def mask(self, table: pd.DataFrame) -> Mask:
        """See Expression."""
        join = np.logical_and if self.word == "and" else np.logical_or
        result: Mask = join.reduce([part.mask(table) for part in self.parts])
        return result

    def columns(self) -> set[str]:
        """See Expression."""
        return set().union(*(part.columns() for part in self.parts))


def parse(text: str) -> Expression:
    """A filter expression, checked for form; its columns are checked when it meets a table.

    Raises:
        ConfigError: the text is not an expression; the message points at the place.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(f"expression of {len(text):,} characters; at most {MAX_CHARACTERS:,} are accepted")
    parser = _Parser(text)
    expression = parser.expression(0)
    parser.expect_end()
    return expression


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str):
        self.text, self.place = text, 0
        self.tokens = self._tokenized()

    def expression(self, depth: int) -> Expression:
        return self._joined("or", self._conjunction, depth)

    def expect_end(self) -> None:
        if self._next.kind != "end":
            raise self._error("expected `and`, `or` or the end")

    def _conjunction(self, depth: int) -> Expression:
        return self._joined("and", self._negation, depth)

    def _joined(self, word: str, part: Callable[[int], Expression], depth: int) -> Expression:
        parts = [part(depth)]
        while self._accept("word", word):
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else Combination(word, tuple(parts))

    def _negation(self, depth: int) -> Expression:
        if depth > MAX_DEPTH:
            raise self._error(f"more than {MAX_DEPTH} levels of nesting")
        if self._accept("word", "not"):
            return Negation(self._negation(depth + 1))
        if self._accept("mark", "("):
            inner = self.expression(depth + 1)
            if not self._accept("mark", ")"):
                raise self._error("expected `)`")
            return inner
        return self._comparison()

    def _comparison(self) -> Expression:
        token = self._next
        if token.kind not in ("word", "column") or token.text in ("and", "or", "in", "true", "false"):
            raise self._error("expected a column name")
        self.place += 1
        column = token.text.strip("`")
        if self._accept("word", "in"):
            return Membership(column, self._literals())
        if self._accept("word", "not"):
            if not self._accept("word", "in"):
                raise self._error("expected `in`")
            return Negation(Membership(column, self._literals()))
        operator = self._next
        if operator.kind != "operator":
            raise self._error(f"expected one of {' '.join(_OPERATORS)} after column {column!r}")
        self.place += 1
        return Comparison(column, operator.text, self._literal())

    def _literals(self) -> tuple[Literal, ...]:
        closing = {"[": "]", "(": ")"}.get(self._next.text)
        if closing is None:
            raise self._error("expected a list such as [\"a\", \"b\"]")
        self.place += 1
        found = [self._literal()]
        while self._accept("mark", ","):
            found.append(self._literal())
        if not self._accept("mark", closing):
            raise self._error(f"expected `,` or `{closing}`")
        return tuple(found)

    def _literal(self) -> Literal:
        token = self._next
        self.place += 1
        if token.kind == "text":
            return token.text[1:-1]
        if token.kind == "number":
            return float(token.text)
        if token.kind == "word" and token.text.lower() in ("true", "false"):
            return token.text.lower() == "true"
        self.place -= 1
        raise self._error("expected a number, true, false or quoted text")

    @property
    def _next(self) -> _Token:
        return self.tokens[self.place]

    def _accept(self, kind: str, text: str) -> bool:
        found = (self._next.kind, self._next.text) == (kind, text)
        self.place += found
        return found

    def _tokenized(self) -> list[_Token]:
        tokens, place = [], 0
        while place < len(self.text):
            match = _TOKEN.match(self.text, place)
            if match is None:
                raise self._error_at(place, "cannot be read")
            if match.lastgroup != "space":
                tokens.append(_Token(str(match.lastgroup), match[0], place))
            place = match.end()
        return [*tokens, _Token("end", "", len(self.text))]

    def _error(self, problem: str) -> ConfigError:
        token = self._next
        return self._error_at(token.start, f"{problem}, found {repr(token.text) if token.text else 'the end'}")

    def _error_at(self, place: int, problem: str) -> ConfigError:
        shown = self.text[max(0, place - 30):place] + " >>> " + self.text[place:place + 30]
        return ConfigError(f"filter expression, character {place + 1}: {problem} (at: {shown.strip()})")


def _column(table: pd.DataFrame, name: str) -> "pd.Series[float]":
    if name in table:
        return table[name]
    raise ConfigError(f"no column {name!r}{did_you_mean(name, list(map(str, table)))}")


def did_you_mean(name: str, known: Sequence[str], at_most: int = 30) -> str:
    """The end of a message about an unknown column: the nearest name, and those that exist."""
    near = difflib.get_close_matches(name, known, n=1)
    listed = ", ".join(known[:at_most]) + (f" and {len(known) - at_most} more" if len(known) > at_most else "")
    return (f"; did you mean {near[0]!r}?" if near else ";") + f" Known columns: {listed}"


def _compare(values: "pd.Series[float]", operator: str, literal: str | float) -> Mask:
    known = values.notna().to_numpy()
    result = np.zeros(len(values), dtype=bool)
    held = values.to_numpy(object)[known]
    compare = {"==": lambda a: a == literal, "<": lambda a: a < literal, "<=": lambda a: a <= literal,
               ">": lambda a: a > literal, ">=": lambda a: a >= literal}[operator]
    result[known] = np.fromiter((bool(compare(value)) for value in held), dtype=bool, count=len(held))
    return result


def as_text(values: "pd.Series[Any]") -> "pd.Series[str]":
    """Values as text, whole numbers without a decimal point: a Parquet column 1.0, 2.0 and a CSV's 1, 2 agree."""
    if isinstance(values.dtype, pd.StringDtype):
        return values
    written = [None if missing else _written(value) for value, missing in zip(values, values.isna(), strict=True)]
    return pd.Series(written, index=values.index, dtype="str")


def _written(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) < 1e15:
        return str(int(value))
    return str(value)
