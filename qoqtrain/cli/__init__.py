"""The `qoqtrain` command."""

from __future__ import annotations

from typing import Annotated

import typer

from qoqdata import console
from qoqtrain.cli import weights

app = typer.Typer(
    name="qoqtrain",
    help="Train multimodal policies with DRPO on qoqdata sets.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from qoqdata import __version__

        console.say(f"qoqtrain {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it and exit.")
    ] = False,
) -> None:
    pass


weights.add(app)


def run() -> None:
    """Entry point: user errors become one line on standard error and an exit code."""
    console.guard(app)
