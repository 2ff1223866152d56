"""The console of all commands: tables, short lines, progress, no traceback for user errors."""

from __future__ import annotations

import errno
import json
import sys
import textwrap
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
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

from qoqdata.errors import (
    CatalogueWarning,
    FailedSourceWarning,
    QoqdataError,
    UnfinishedBuild,
    UsageError,
)
from qoqdata.extras import install_command
from qoqdata.pipeline import progress as events
from qoqdata.printable import printable
from qoqdata.progress import ProgressCallback, silent

#: Exit codes of every command.
DONE, FINDINGS, USAGE, FAILED, INTERRUPTED = 0, 1, 2, 3, 130
#: The end of every help, so that scripts need no other page.
EXIT_CODES = (
    "Exit codes:  0 done; 1 findings, or input that cannot be used; 2 wrong arguments or"
    " configuration; 3 a source failed as a whole, or the work is unfinished; 130 interrupted"
)

#: What the system says of a file in the place of a folder, of a full disk, and of a closed one.
_NO_FOLDER = (errno.ENOTDIR, errno.EEXIST)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EACCES, errno.EPERM, errno.EROFS)

#: What the parser raises; newer versions of typer have a copy of click in which it is.
_Refusal: Any = typer.BadParameter.__base__

#: Warnings that are a line on standard error.
OURS = (CatalogueWarning, FailedSourceWarning)

#: Off a terminal, tables may be wide: nobody folds them.
WIDE = 160


def _console(*, stderr: bool = False) -> Console:
    width = None if Console(stderr=stderr).is_terminal else WIDE
    # What is shown is text: labels may hold [brackets] and :colons:.
    return Console(
        stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True
    )


out, err = _console(), _console(stderr=True)


def application(name: str, *, about: str) -> typer.Typer:
    """An empty command line with --version, plain help, and no tracebacks of its own."""
    app = typer.Typer(
        name=name,
        help=about,
        no_args_is_help=True,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        epilog=EXIT_CODES,
    )
    app.callback()(_root)
    return app


def _show_version(context: typer.Context, request: bool) -> None:
    if request:
        from qoqdata.version import VERSION

        say(f"{context.find_root().command.name} {VERSION}")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print and exit."),
    ] = False,
) -> None:
    pass


def say(line: str = "") -> None:
    """One line on standard output."""
    out.print(printable(line, lines=True))


def complain(line: str) -> None:
    """One line on standard error."""
    err.print(printable(line, lines=True))


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
        # The first column names the row, and a name cut short names nothing.
        sheet.add_column(name, justify="right" if numeric else "left", no_wrap=index == 0)
    for row in rows:
        sheet.add_row(*(_cell(value) for value in row))
    out.print(sheet, soft_wrap=False)


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
    if quiet:
        yield _say_faults
    elif err.is_terminal:
        with _bars("units") as bars:
            yield _SourceBars(bars)
    else:
        yield _say_event


@contextmanager
def counter(unit: str, *, quiet: bool = False) -> Iterator[ProgressCallback]:
    """A function of (done, total): a bar on a terminal, a line at every tenth off a terminal."""
    if quiet:
        yield silent
    elif err.is_terminal:
        with _bars(unit) as bars:
            yield lambda done, total: bars.update(_only_task(bars), completed=done, total=total)
    else:
        yield lambda done, total: _say_tenth(done, total, unit)


@contextmanager
def tally(unit: str, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A function of what is done, of an unknown total: a line on a terminal, one at every
    thousand off a terminal."""
    if quiet:
        yield lambda done: None
    elif err.is_terminal:
        with err.status(f"0 {unit}") as status:
            yield lambda done: status.update(f"{done:,} {unit}")
    else:
        yield lambda done: None if done % 1000 else complain(f"{done:,} {unit}")


def leave(code: int) -> None:
    """End the command with an exit code."""
    raise typer.Exit(code)


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    with warnings.catch_warnings():
        for kind in OURS:
            warnings.simplefilter("always", kind)
        show = warnings.showwarning

        def show_line(
            message: Warning | str, category: type[Warning], *rest: Any, **more: Any
        ) -> None:
            if issubclass(category, OURS):
                complain(f"warning: {message}")
            else:
                show(message, category, *rest, **more)

        warnings.showwarning = show_line
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
    match event:
        case events.Planned(source=source, units=units, chunks=chunks, left_out=left_out):
            complain(f"{source}: {units} units in {chunks} shards, {left_out} left out")
        case events.Finished(source=source, chunk=chunk, records=records, quarantined=failed):
            state = "unchanged" if event.reused else "written"
            tail = f", {failed} quarantined" if failed else ""
            complain(f"{source}: {chunk} {state}, {records} records{tail}")
        case _:
            _say_faults(event)


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


def run(app: typer.Typer) -> None:
    """Entry point of a command line: as `guard`, and what cannot be parsed is a line too."""
    guard(lambda: _parse_and_call(app))


def _parse_and_call(app: typer.Typer) -> None:
    try:
        code = app(prog_name=app.info.name, standalone_mode=False)
    except _Refusal as refusal:
        if refusal.ctx is None or type(refusal).__name__ == "NoArgsIsHelpError":
            complain(refusal.format_message())
            sys.exit(USAGE)
        words = " ".join(refusal.format_message().split())
        what, near, name = words.partition(" Did you mean ")
        path = refusal.ctx.command_path
        fix = f"did you mean {name}" if near else f"see `{path} --help`"
        raise UsageError(what.rstrip("."), where=path, fix=fix) from refusal
    if isinstance(code, int) and code != DONE:
        sys.exit(code)


def guard(command: Callable[[], object]) -> None:
    """Run a command; 2 for usage errors, 3 for unfinished builds and what the system or we got
    wrong, 1 for other errors of ours, 130 when interrupted.

    A warning of ours is one line on standard error; a traceback is of a fault of this program.
    """
    try:
        with _warnings_in_a_line():
            command()
    except UsageError as error:
        complain(f"error: {error}")
        sys.exit(USAGE)
    except QoqdataError as error:
        complain(f"error: {error}")
        sys.exit(FAILED if isinstance(error, UnfinishedBuild) else FINDINGS)
    except SystemExit as end:
        # Typer turns Ctrl-C into this code without a word.
        if end.code == INTERRUPTED:
            complain("interrupted; the same command goes on from here")
        raise
    except OSError as error:
        complain(f"error: {_system_fault(error)}")
        sys.exit(USAGE if error.errno in _NO_FOLDER else FAILED)
    except ModuleNotFoundError as error:
        if (fix := install_command(error.name or "")) is None:
            traceback.print_exc()
            sys.exit(FAILED)
        complain(f"error: {UsageError(f'needs {error.name}, which is not installed', fix=fix)}")
        sys.exit(USAGE)
    except Exception:
        # Python's own code for this, 1, would read as findings.
        traceback.print_exc()
        sys.exit(FAILED)


def _system_fault(error: OSError) -> QoqdataError:
    """What the operating system refused, where, and what to do about it."""
    what, fix = error.strerror or str(error), None
    if error.errno in _NO_FOLDER:
        what, fix = "a file stands where a folder must be", "name another folder"
    elif error.errno in _FULL:
        fix = "free space there, then run the same command again"
    elif error.errno in _CLOSED:
        fix = "see who may write there, or name another folder"
    return QoqdataError(what, where=str(error.filename or "system"), fix=fix)
