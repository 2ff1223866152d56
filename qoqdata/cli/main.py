"""The `qoqdata` command."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from qoqdata.cli import (
    build,
    console,
    demo,
    difficulty,
    new_source,
    sources,
    stats,
    validate,
)
from qoqdata.errors import QoqdataError, UsageError

app = typer.Typer(
    name="qoqdata",
    help="Build, curate, publish and stream multimodal clinical instruction data.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from qoqdata.version import VERSION

        console.say(f"qoqdata {VERSION}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit.")
    ] = False,
) -> None:
    pass


for command in (demo, sources, build, validate, stats, difficulty, new_source):
    command.add(app)


def run() -> None:
    """Entry point: user errors become one line on standard error and an exit code."""
    guard(app)


def guard(command: Callable[[], object]) -> None:
    """Run a command; 2 for usage errors, 1 for other errors of ours, 130 when interrupted."""
    try:
        command()
    except UsageError as error:
        console.complain(f"error: {error}")
        sys.exit(console.USAGE)
    except QoqdataError as error:
        console.complain(f"error: {error}")
        sys.exit(console.FINDINGS)
    except KeyboardInterrupt:
        console.complain("interrupted; the same command goes on from here")
        sys.exit(console.INTERRUPTED)
    except OSError as error:
        console.complain(f"error: {error.filename or 'system'}: {error.strerror or error}")
        sys.exit(console.FINDINGS)
