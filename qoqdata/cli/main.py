"""The `qoqdata` command."""

from __future__ import annotations

from typing import Annotated

import typer

from qoqdata import console
from qoqdata.cli import (
    build,
    demo,
    difficulty,
    new_source,
    sources,
    stats,
    validate,
)

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
    console.guard(app)
