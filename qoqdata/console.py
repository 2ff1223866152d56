"""The console of all commands: tables, short lines, progress, no traceback for user errors."""

from __future__ import annotations

import errno
import inspect
import json
import sys
import textwrap
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
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
    "Exit codes:  0 done; 1 findings, or input that cannot be used;\n"
    "  2 wrong arguments or configuration; 3 a source failed as a whole, or the\n"
    "  work is unfinished; 130 interrupted"
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


class Commands(typer.Typer):
    """A command line whose commands all take --quiet, --verbose and --log-file, and whose examples
    keep their lines."""

    def command(  # type: ignore[override]
        self, name: str, *, epilog: str = "", **more: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        register = super().command(name, epilog=_kept_lines(epilog), **more)

        def add(function: Callable[..., Any]) -> Callable[..., Any]:
            register(_with_manners(function))
            return function

        return add


def _with_manners(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a command, with options that go to the console alone."""

    @wraps(function)
    def spoken(*, quiet: bool, verbose: bool, log_file: str | None, **values: Any) -> Any:
        _manner.quiet, _manner.verbose = quiet, verbose
        if log_file is not None:
            Path(log_file).open("a", encoding="utf-8").close()  # Refused before the work begins.
            _manner.log = log_file
        return function(**values)

    own = inspect.signature(function, eval_str=True)
    more = inspect.signature(_manners, eval_str=True)
    parameters = (*own.parameters.values(), *more.parameters.values())
    keywords = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    spoken.__signature__ = own.replace(parameters=keywords)  # type: ignore[attr-defined]
    spoken.__annotations__ = {one.name: one.annotation for one in keywords}
    return spoken


def _manners(
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No progress; results and warnings stay.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Each step in a line; where an error is from.")
    ] = False,
    log_file: Annotated[
        str | None, typer.Option(help="Add each step and message here, with its time.")
    ] = None,
) -> None:
    """Options that every command has."""


@dataclass
class _Manner:
    """How the running command speaks. `log` is a file; None for none."""

    quiet: bool = False
    verbose: bool = False
    log: str | None = None


_manner = _Manner()


def _kept_lines(text: str) -> str:
    """Paragraphs that help prints line by line as they are."""
    return "\n\n".join(f"\b\n{part}" for part in text.split("\n\n"))


def application(name: str, *, about: str) -> Commands:
    """An empty command line with --version, plain help, completion and no tracebacks."""
    app = Commands(
        name=name,
        help=about,
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        epilog=_kept_lines(EXIT_CODES),
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
    _note(line)


def _note(line: str) -> None:
    """A line in the log file, where one is asked for."""
    if _manner.log is not None:
        time = datetime.now().astimezone().isoformat(timespec="seconds")
        with Path(_manner.log).open("a", encoding="utf-8") as stream:
            stream.write(f"{time} {printable(line)}\n")


def emit_json(value: Any) -> None:
    """Machine output: one JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "") -> None:
    """An aligned table; numbers right, None as a dash."""
    rows = [list(row) for row in rows]
    if title:
        say(title)
    cells = [[_cell(value) for value in row] for row in rows]
    # The first column names the row, and a name cut short names nothing.
    least = [
        max((_longest(line[index], whole=index == 0) for line in (columns, *cells)), default=0)
        for index in range(len(columns))
    ]
    if sum(least) + 2 * (len(least) - 1) > out.width:
        # Words would be cut: each row in lines of its own.
        for line in cells:
            named = zip(columns[1:], line[1:], strict=True)
            entry(
                f"{columns[0]} {line[0]}", ["; ".join(f"{name} {value}" for name, value in named)]
            )
        return
    sheet = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for index, name in enumerate(columns):
        numeric = all(isinstance(row[index], (int, float, type(None))) for row in rows)
        sheet.add_column(
            name,
            justify="right" if numeric else "left",
            no_wrap=index == 0,
            min_width=least[index],
        )
    for line in cells:
        sheet.add_row(*line)
    out.print(sheet, soft_wrap=False)


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
    """Hears of a build: a bar a source on a terminal, a line an event off a terminal.

    Warnings and refusals always go to standard error.
    """
    if quiet or _manner.quiet:
        yield _noting(_say_faults)
    elif err.is_terminal and not _manner.verbose:
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
    if quiet or _manner.quiet:
        yield silent
    elif err.is_terminal and not _manner.verbose:
        with _bars(unit) as bars:
            yield lambda done, total: bars.update(_only_task(bars), completed=done, total=total)
    else:
        yield lambda done, total: _say_tenth(done, total, unit)


@contextmanager
def tally(unit: str, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A function of what is done, of an unknown total: a line on a terminal, one at every
    thousand off a terminal."""
    if quiet or _manner.quiet:
        yield lambda done: None
    elif err.is_terminal and not _manner.verbose:
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
    vars(_manner).update(vars(_Manner()))
    try:
        with _warnings_in_a_line():
            command()
    except UsageError as error:
        _complain_of(error)
        sys.exit(USAGE)
    except QoqdataError as error:
        _complain_of(error)
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


def _complain_of(error: QoqdataError) -> None:
    """The error in its line; with --verbose, where in the program it is from."""
    if _manner.verbose:
        traceback.print_exc()
    complain(f"error: {error}")


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
