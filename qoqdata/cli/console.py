"""What a person sees: short aligned tables, one line per event, no traceback for user errors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

#: Exit codes of every command.
DONE, FINDINGS, USAGE, INTERRUPTED = 0, 1, 2, 130

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str = "") -> None:
    """One line on standard output."""
    out.print(line, markup=False)


def complain(line: str) -> None:
    """One line on standard error."""
    err.print(line, markup=False)


def emit_json(value: Any) -> None:
    """Machine output: one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
    """An aligned table; numbers right, None as a dash."""
    rows = [list(row) for row in rows]
    if title:
        say(title)
    sheet = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        numeric = all(isinstance(row[index], (int, float, type(None))) for row in rows)
        sheet.add_column(name, justify="right" if numeric else "left", no_wrap=numeric)
    for row in rows:
        sheet.add_row(*(_cell(value) for value in row))
    out.print(sheet, markup=False, soft_wrap=False)


def leave(code: int) -> None:
    """End the command with an exit code."""
    raise typer.Exit(code)


def _cell(value: Any) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    # A table cell is text, not markup: labels may hold square brackets.
    return str(value).replace("[", "\\[")
