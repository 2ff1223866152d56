"""qoqdata view: look at a data set in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata.command_line import Host, Port, saying_url
from qoqdata.errors import UsageError

EPILOG = """Example:  qoqdata view ./set

On a login node:  qoqdata view ./set --port 8765, and on your machine
ssh -L 8765:127.0.0.1:8765 LOGIN-NODE; then open the URL."""


def add(app: typer.Typer) -> None:
    app.command("view", epilog=EPILOG)(view_command)


def view_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder or URL.")],
    host: Host = "127.0.0.1",
    port: Port = 0,
    policy: Annotated[
        str | None, typer.Option(help="Whose success rates, where there are several.")
    ] = None,
    rollouts: Annotated[
        Path | None, typer.Option(help="Rollouts of a policy: Parquet, a folder, or JSON lines.")
    ] = None,
    raw: Annotated[
        list[str] | None,
        typer.Option(help="SOURCE=DIR: other windows, from its raw files; can be given again."),
    ] = None,
    salt_file: Annotated[
        Path | None, typer.Option(help="The salt of the build, for --raw of a private source.")
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="Who decides. Default: who is logged in.")
    ] = None,
) -> None:
    """Look at records in a browser: search, filter, images with boxes and masks, ECGs, quarantine;
    keep, drop, relabel or comment by keyboard. A build that has not ended is shown as far as it is.

    Prints a URL with a token, without which nobody sees anything. Nothing is asked of other
    machines. Needs pip install 'qoqdata[view]'. Ctrl-C ends it.
    """
    qoqdata.view(
        dataset,
        host=host,
        port=port,
        policy=policy,
        rollouts=rollouts,
        raw=_folders(raw or []),
        salt_file=salt_file,
        author=author,
        on_ready=saying_url("the viewer"),
    )


def _folders(given: list[str]) -> dict[str, str]:
    folders = {}
    for text in given:
        source, mark, folder = text.partition("=")
        if not (mark and source and Path(folder).is_dir()):
            what = f"{text!r} names no source with a folder that is there"
            raise UsageError(what, where="--raw", fix="--raw ham10000=/data/ham10000")
        folders[source] = folder
    return folders
