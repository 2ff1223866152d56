"""The console of all commands: tables, short lines, progress."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from qoqdata.pipeline import progress as events
from qoqdata.printable import printable
from qoqdata.progress import ProgressCallback, silent

#: Off a terminal, tables may be wide: nobody folds them.
WIDE = 160


def _console(*, stderr: bool = False) -> Console:
    width = None if Console(stderr=stderr).is_terminal else WIDE
    # What is shown is text: labels may hold [brackets] and :colons:.
    return Console(
        stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True
    )


out, err = _console(), _console(stderr=True)


@dataclass
class Manner:
    """How the running command speaks. `log` is a file; None for none."""

    quiet: bool = False
    verbose: bool = False
    log: str | None = None


#: Of the command that runs; `command_line.guard` makes it anew.
manner = Manner()


def say(line: str = "") -> None:
    """One line on standard output."""
    out.print(printable(line, lines=True))


def complain(line: str) -> None:
    """One line on standard error."""
    err.print(printable(line, lines=True))
    _note(line)


def _note(line: str) -> None:
    """A line in the log file, where one is asked for."""
    if manner.log is not None:
        time = datetime.now().astimezone().isoformat(timespec="seconds")
        with Path(manner.log).open("a", encoding="utf-8") as stream:
            stream.write(f"{time} {printable(line)}\n")


def emit_json(value: Any) -> None:
    """Machine output: one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


#: Places between two columns; rich counts them beside the last one too.
_GAP = 2


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
    """An aligned table; numbers right, None as a dash."""
    rows = [list(row) for row in rows]
    if title:
        say(title)
    cells = [[_cell(value) for value in row] for row in rows]
    lines = (columns, *cells)
    whole = [max(cell_len(line[index]) for line in lines) for index in range(len(columns))]
    # The first column names the row, and a name cut short names nothing.
    least = whole[:1] + [
        max(_longest_word(line[index]) for line in lines) for index in range(1, len(columns))
    ]
    if sum(least) + _GAP * len(least) > out.width:
        # Words would be cut: each row in lines of its own.
        for line in cells:
            named = zip(columns[1:], line[1:], strict=True)
            entry(
                f"{columns[0]} {line[0]}", ["; ".join(f"{name} {value}" for name, value in named)]
            )
        return
    # Rich would narrow a column below its longest word, and cut it.
    widths = _widths(least, whole, out.width - _GAP * len(least))
    sheet = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        numeric = all(isinstance(row[index], (int, float, type(None))) for row in rows)
        sheet.add_column(
            name,
            justify="right" if numeric else "left",
            no_wrap=index == 0,
            width=widths[index],
        )
    for line in cells:
        sheet.add_row(*line)
    out.print(sheet, soft_wrap=False)


def _longest_word(text: str) -> int:
    """Places that it takes on a terminal."""
    return max(map(cell_len, text.split()), default=0)


def _widths(least: Sequence[int], whole: Sequence[int], places: int) -> list[int]:
    """`least` of each column, and what is left of `places` for columns that want more, evenly."""
    widths = list(least)
    spare = places - sum(widths)
    while spare > 0 and (wanting := [i for i in range(len(widths)) if widths[i] < whole[i]]):
        for index in wanting[:spare]:
            widths[index] += 1
        spare -= len(wanting[:spare])
    return widths


def entry(head: str, lines: Iterable[str]) -> None:
    """A head and what belongs to it, indented; long lines end between words."""
    say(head)
    for line in lines:
        text = textwrap.fill(
            printable(line),
            max(out.width, 40),
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        say(text)


def facts(rows: Iterable[tuple[str, Any]]) -> None:
    """Names and values in two columns; absent values are left out."""
    sheet = Table.grid(padding=(0, 2))
    sheet.add_column(no_wrap=True)
    sheet.add_column()
    for name, value in rows:
        if value is not None:
            sheet.add_row(name, _cell(value))
    out.print(sheet, soft_wrap=False)


@contextmanager
def listener(*, quiet: bool = False) -> Iterator[events.Listener]:
    """Hears of a build: a bar a source on a terminal, a line an event off a terminal.

    Warnings and refusals always go to standard error.
    """
    if quiet or manner.quiet:
        yield _noting(_say_faults)
    elif err.is_terminal and not manner.verbose:
        with _bars("units") as bars:
            yield _noting(_SourceBars(bars))
    else:
        yield _say_event


def _noting(listen: events.Listener) -> events.Listener:
    """Events as `listen` shows them, and those that are no line there as one in the log."""

    def heard(event: events.Event) -> None:
        listen(event)
        if (line := _in_a_line(event)) is not None:
            _note(line)

    return heard


@contextmanager
def counter(unit: str, *, quiet: bool = False) -> Iterator[ProgressCallback]:
    """A function of (done, total): a bar on a terminal, a line at every tenth off a terminal."""
    if quiet or manner.quiet:
        yield silent
    elif err.is_terminal and not manner.verbose:
        with _bars(unit) as bars:
            yield lambda done, total: bars.update(_only_task(bars), completed=done, total=total)
    else:
        yield lambda done, total: _say_tenth(done, total, unit)


@contextmanager
def tally(unit: str, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A function of what is done, of an unknown total: a line on a terminal, one at every
    thousand off a terminal."""
    if quiet or manner.quiet:
        yield lambda done: None
    elif err.is_terminal and not manner.verbose:
        with err.status(f"0 {unit}") as status:
            yield lambda done: status.update(f"{done:,} {unit}")
    else:
        yield lambda done: None if done % 1000 else complain(f"{done:,} {unit}")


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
    return printable(str(value))


def _say_tenth(done: int, total: int, unit: str) -> None:
    if done == total or done * 10 // total > (done - 1) * 10 // total:
        complain(f"{done} of {total} {unit}")


def _say_faults(event: events.Event) -> None:
    match event:
        case events.SourceRefused(source=source, reason=reason, message=message):
            complain(f"{source}: refused ({reason}): {message}")
        case events.Warned(source=source, message=message):
            complain(f"{source}: {message}")
        case events.InWork(source=source, what=what, seconds=seconds):
            complain(f"{source}: {what} in work for {seconds:,} seconds")
        case events.ChunkUnfinished(source=source, chunk=chunk, reason=reason):
            complain(f"{source}: {chunk} unfinished: {reason}")


def _say_event(event: events.Event) -> None:
    if (line := _in_a_line(event)) is None:
        _say_faults(event)
    else:
        complain(line)


def _in_a_line(event: events.Event) -> str | None:
    """How far the build is; None for an event that tells of a fault."""
    match event:
        case events.Planned(source=source, units=units, chunks=chunks, left_out=left_out):
            return f"{source}: {units} units in {chunks} shards, {left_out} left out"
        case events.Finished(source=source, chunk=chunk, records=records, quarantined=failed):
            state = "unchanged" if event.reused else "written"
            tail = f", {failed} quarantined" if failed else ""
            return f"{source}: {chunk} {state}, {records} records{tail}"
    return None


def _bars(unit: str) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=err,
    )


def _only_task(bars: Progress) -> TaskID:
    """The one bar of a counter; it appears when there is something to count."""
    return bars.task_ids[0] if bars.task_ids else bars.add_task("", total=None, note="")


class _SourceBars:
    """One bar a source, in units."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}
        self.failures: dict[str, int] = {}

    def __call__(self, event: events.Event) -> None:
        match event:
            case events.Planned(source=source, units=units):
                self.tasks[source] = self.bars.add_task(source, total=units, note="")
            case events.Finished(source=source, units=units, quarantined=failed):
                count = self.failures[source] = self.failures.get(source, 0) + failed
                note = f"{count} quarantined" if count else ""
                self.bars.update(self.tasks[source], advance=units, note=note)
            case _:
                _say_faults(event)
