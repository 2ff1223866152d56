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
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from qoqdata.pipeline import progress as events
from qoqdata.printable import printable
from qoqdata.progress import Pace, ProgressCallback, rate, silent

#: Off a terminal, tables may be wide: nobody folds them.
WIDE = 160
#: Largest unit first: bytes of each.
BYTES = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0))


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


def size(count: float) -> str:
    """A number of bytes in the unit that suits it: three digits, as in 45.3 kB."""
    name, unit = next((one for one in BYTES if count >= one[1]), BYTES[-1])
    return f"{count / unit:.3g} {name}"


def emit_json(value: Any) -> None:
    """Machine output: one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
    """An aligned table; numbers right, None as a dash."""
    rows = [list(row) for row in rows]
    if title:
        say(title)
    cells = [[_cell(value) for value in row] for row in rows]
    by_column = list(zip(columns, *cells, strict=True))
    # The first column names the row, and a name cut short names nothing.
    least = [
        max(_longest(text, whole=index == 0) for text in column)
        for index, column in enumerate(by_column)
    ]
    widest = [max(_longest(text, whole=True) for text in column) for column in by_column]
    room = out.width - 2 * (len(least) - 1)
    if sum(least) > room:
        # Words would be cut: each row in lines of its own.
        for line in cells:
            named = zip(columns[1:], line[1:], strict=True)
            entry(
                f"{columns[0]} {line[0]}", ["; ".join(f"{name} {value}" for name, value in named)]
            )
        return
    sheet = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    widths = _shared_out(room, least, widest)
    for index, name in enumerate(columns):
        numeric = all(isinstance(row[index], (int, float, type(None))) for row in rows)
        sheet.add_column(
            name,
            justify="right" if numeric else "left",
            no_wrap=index == 0,
            # Left to itself, rich narrows columns below a word, or cuts off what is on the right.
            width=widths[index],
        )
    for line in cells:
        sheet.add_row(*line)
    out.print(sheet, soft_wrap=False)


def _shared_out(room: int, least: Sequence[int], widest: Sequence[int]) -> list[int]:
    """Widths of columns, at least and at most these, where `room` goes to those that lack most."""
    widths = list(least)
    for _ in range(min(room, sum(widest)) - sum(least)):
        lacking = [most - width for most, width in zip(widest, widths, strict=True)]
        widths[lacking.index(max(lacking))] += 1
    return widths


def _longest(text: str, *, whole: bool) -> int:
    """Places that the longest word takes on a terminal, or the whole text."""
    return max(map(cell_len, [text] if whole else text.split()), default=0)


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
    """Hears of a build: a bar a source on a terminal, a line an event off a terminal, and what of a
    source is done at which pace.

    Warnings and refusals always go to standard error.
    """
    if quiet or manner.quiet:
        yield _noting(_say_faults)
    elif err.is_terminal and not manner.verbose:
        with _bars("units") as bars:
            yield _noting(_SourceBars(bars))
    else:
        yield _SourceLines()


def _noting(listen: events.Listener) -> events.Listener:
    """Events as `listen` shows them, and those that are no line there as one in the log."""

    def heard(event: events.Event) -> None:
        listen(event)
        if (line := _in_a_line(event)) is not None:
            _note(line)

    return heard


@contextmanager
def counter(unit: str, *, quiet: bool = False) -> Iterator[ProgressCallback]:
    """A function of (done, total): a bar on a terminal; off a terminal, of what takes longer than
    two seconds, a line at every tenth. Less done than before is other work in the same unit."""
    if quiet or manner.quiet:
        yield silent
    elif err.is_terminal and not manner.verbose:
        with _bars(unit) as bars:
            yield lambda done, total: _advance(bars, done, total)
    else:
        pace = Pace(unit)
        yield lambda done, total: _say_pace(pace.line(done, total))


@contextmanager
def tally(unit: str, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A function of what is done, of an unknown total: a line on a terminal, one at every
    thousand off a terminal."""
    if quiet or manner.quiet:
        yield lambda done: None
    elif err.is_terminal and not manner.verbose:
        with _bars(unit) as bars:
            yield lambda done: _advance(bars, done, None)
    else:
        yield lambda done: None if done % 1000 else complain(f"{done:,} {unit}")


@contextmanager
def working(what: str, *, quiet: bool = False) -> Iterator[None]:
    """For work that counts nothing: on a terminal what is done, and for how long already."""
    if quiet or manner.quiet or manner.verbose or not err.is_terminal:
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as sheet:
        sheet.add_task(what, total=None)
        yield


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


def _say_pace(line: str | None) -> None:
    if line is not None:
        complain(line)


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
        _RateColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=err,
    )


class _RateColumn(ProgressColumn):
    """How much of it a second, a minute or an hour."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(rate(speed) if speed else "")


def _advance(bars: Progress, done: int, total: int | None) -> None:
    """Move the one bar of a counter; it appears when there is something to count."""
    only = bars.task_ids[0] if bars.task_ids else bars.add_task("", total=total, note="")
    if done < bars.tasks[0].completed:
        bars.reset(only, total=total)
    bars.update(only, completed=done, total=total)


class _SourceLines:
    """A line an event, and the pace of each source."""

    def __init__(self) -> None:
        self.paces: dict[str, Pace] = {}
        self.units: dict[str, tuple[int, int]] = {}

    def __call__(self, event: events.Event) -> None:
        _say_event(event)
        match event:
            case events.Planned(source=source, units=units):
                self.paces[source], self.units[source] = Pace("units"), (0, units)
            case events.Finished(source=source, units=units) if source in self.paces:
                done, total = self.units[source]
                # What was there already says nothing of the pace.
                counts = (done, total - units) if event.reused else (done + units, total)
                self.units[source] = counts
                if (line := self.paces[source].line(*counts)) is not None:
                    complain(f"{source}: {line}")


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
