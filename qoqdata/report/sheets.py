"""Sections of a report and their tables, before they are markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

#: Rows of a table that are shown.
ROWS = 200


@dataclass(frozen=True)
class Bar:
    """Parts of a whole, each 0 to 1, to be drawn beside each other; `said` is the same in words, and
    empty where the numbers stand in columns beside it."""

    parts: tuple[float, ...]
    said: str = ""


@dataclass(frozen=True)
class Sheet:
    """A table: `heads`, `rows` of texts, numbers, Bars and None, what it counts (`caption`), and how
    many rows there are beyond those (`more`)."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Any]]
    more: int = 0

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers alone, which stand to the right."""
        cells = [row[column] for row in self.rows]
        return any(cell is not None for cell in cells) and all(
            isinstance(cell, int | float | None) for cell in cells
        )


@dataclass(frozen=True)
class Section:
    """A part of the page: `id` in its address, paragraphs of text, then tables."""

    id: str
    title: str
    texts: Sequence[str] = ()
    sheets: Sequence[Sheet] = ()


def sheet(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Sheet:
    """A table of at most ROWS rows, and how many there are beyond."""
    every = list(rows)
    return Sheet(caption, heads, every[:ROWS], max(0, len(every) - ROWS))


def sheet_of(caption: str, frame: pl.DataFrame, heads: dict[str, str]) -> Sheet:
    """Columns of a frame under the names that `heads` gives them."""
    return sheet(caption, tuple(heads.values()), frame.select(list(heads)).iter_rows())


def share(value: float | None) -> Bar | None:
    """A share as a bar with its percentage."""
    return None if value is None else Bar((value,), percent(value))


def percent(value: float) -> str:
    """A share in words; one that is small is not none."""
    return "under 0.1 %" if 0 < value < 0.001 else f"{value:.1%}".replace("%", " %")
