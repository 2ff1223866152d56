"""qoqtrain watch: look at a run in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

import qoqtrain
from qoqdata import console
from qoqdata.command_line import Host, Port, saying_url

EPILOG = """Example:  qoqtrain watch ./run

One file to pass on:  qoqtrain watch ./run --static run.html

On a login node:  qoqtrain watch ./run --port 8765, and on your machine
ssh -L 8765:127.0.0.1:8765 LOGIN-NODE; then open the URL."""


def add(app: typer.Typer) -> None:
    app.command("watch", epilog=EPILOG)(watch_command)


def watch_command(
    run: Annotated[Path, typer.Argument(help="Folder of the run.")],
    data: Annotated[
        str | None, typer.Option(help="Where the data set is now, if it has moved.")
    ] = None,
    host: Host = "127.0.0.1",
    port: Port = 0,
    static: Annotated[
        Path | None, typer.Option(help="Write one self-contained file instead of serving.")
    ] = None,
    step: Annotated[
        int | None, typer.Option(min=1, help="With --static: whose rollouts; default the last.")
    ] = None,
    samples: Annotated[
        Literal["open", "all", "none"],
        typer.Option(help="With --static: questions of sources whose terms allow it, or all."),
    ] = "open",
    json: Annotated[bool, typer.Option("--json", help="With --static: as JSON.")] = False,
) -> None:
    """Look at a run, while it goes on or afterwards: curves by domain, rollouts with images.

    Prints a URL with a token, without which nobody sees anything. Nothing is asked of other
    machines. Serving needs pip install 'qoqdata[view]'. Ctrl-C ends it.
    """
    if static is not None:
        shown = qoqtrain.write_run_page(run, static, data=data, step=step, samples=samples)
        if json:
            console.emit_json({"page": str(static), "questions": shown})
        else:
            console.say(f"page: {static}, {shown} questions with their rollouts")
        return

    qoqtrain.watch(run, data=data, host=host, port=port, on_ready=saying_url("the page"))
