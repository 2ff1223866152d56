"""The command line: commands that all take the same manners, exit codes, no traceback for what
its user got wrong."""

from __future__ import annotations

import errno
import inspect
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from qoqdata.console import Manner, complain, manner, say
from qoqdata.errors import (
    CatalogueWarning,
    FailedSourceWarning,
    QoqdataError,
    UnfinishedBuild,
    UsageError,
)
from qoqdata.extras import install_command
from qoqdata.system_faults import OF_THE_MACHINE

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

#: Where a local application listens: options of every command that serves one.
Host = Annotated[
    str, typer.Option(help="Address to listen at. Others than loopback show it to the network.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")]

#: Warnings that are a line on standard error.
OURS = (CatalogueWarning, FailedSourceWarning)


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
        manner.quiet, manner.verbose = quiet, verbose
        if log_file is not None:
            Path(log_file).open("a", encoding="utf-8").close()  # Refused before the work begins.
            manner.log = log_file
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


def leave(code: int) -> None:
    """End the command with an exit code."""
    raise typer.Exit(code)


def saying_url(what: str) -> Callable[[str], None]:
    """Tells the URL at which `what` is served: alone on standard output, how to use it beside."""

    def tell(url: str) -> None:
        say(url)
        complain(f"open this URL in a browser of this machine; Ctrl-C ends {what}")

    return tell


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
    vars(manner).update(vars(Manner()))
    try:
        with _warnings_in_a_line():
            command()
    except UsageError as error:
        _complain_of(error)
        sys.exit(USAGE)
    except QoqdataError as error:
        _complain_of(error)
        failed = isinstance(error, UnfinishedBuild) or _cannot_be_written(error)
        sys.exit(FAILED if failed else FINDINGS)
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


def _cannot_be_written(error: BaseException) -> bool:
    """Whether a disk that is full or closed is behind an error: the same code whoever tells it."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in (*_FULL, errno.EROFS):
        return True
    return cause is not None and _cannot_be_written(cause)


def _complain_of(error: QoqdataError) -> None:
    """The error in its line; with --verbose, where in the program it is from."""
    if manner.verbose:
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
    elif error.errno in OF_THE_MACHINE:
        fix = "see to the disk or mount, then run the same command again"
    return QoqdataError(what, where=str(error.filename or "system"), fix=fix)


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
