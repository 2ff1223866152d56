"""qoqdata view: look at a data set in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

import qoqdata
from qoqdata import console

EPILOG = """Example:  qoqdata view ./set

On a login node:  qoqdata view ./set --port 8765, and on your machine
ssh -L 8765:127.0.0.1:8765 LOGIN-NODE; then open the URL."""


def add(app: typer.Typer) -> None:
    app.command("view", epilog=EPILOG)(view_command)


def view_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder or URL.")],
    host: Annotated[
        str, typer.Option(help="Address to listen at. Others than loopback show it to the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 0,
    policy: Annotated[
        str | None, typer.Option(help="Whose success rates, where there are several.")
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="Who decides. Default: who is logged in.")
    ] = None,
) -> None:
    """Look at records in a browser: search, filter, images with boxes and masks, ECGs, quarantine;
    keep or drop by keyboard.

    Prints a URL with a token, without which nobody sees anything. Nothing is asked of other
    machines. Needs pip install 'qoqdata[view]'. Ctrl-C ends it.
    """

    def say(url: str) -> None:
        console.say(url)
        console.complain("open this URL in a browser of this machine; Ctrl-C ends the viewer")

    qoqdata.view(dataset, host=host, port=port, policy=policy, author=author, on_ready=say)
