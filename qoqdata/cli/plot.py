"""qoqdata plot: the figures of a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import console

EPILOG = """Example:  qoqdata plot ./set --out ./figures"""


def add(app: typer.Typer) -> None:
    app.command("plot", epilog=EPILOG)(plot_command)


def plot_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder or URL.")],
    out: Annotated[Path, typer.Option(help="Folder for the figures.")],
    format: Annotated[
        list[str] | None, typer.Option(help="svg or pdf; may be repeated. Default: both.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The files as JSON.")] = False,
) -> None:
    """Draw the figures of a paper, as wide as a column: records and splits by domain and source,
    label balance, age and sex, rarity against difficulty.

    They count the records that curation keeps. Needs pip install 'qoqdata[plot]'.
    """
    plots = qoqdata.plot(dataset, out=out, formats=format or ("svg", "pdf"))
    if json:
        console.emit_json({"files": list(plots.files), "lacking": dict(plots.lacking)})
        return
    for path in plots.files:
        console.say(str(path))
    for name, reason in plots.lacking.items():
        console.complain(f"{name} is not drawn: {reason}")
