"""qoqdata simulate: made-up raw files in a source's own layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import console

EPILOG = """Example:  qoqdata simulate lc25000 --n 50 --out ./raw

Then:  qoqdata build lc25000 --raw ./raw --out ./set"""


def add(app: typer.Typer) -> None:
    app.command("simulate", epilog=EPILOG)(simulate_command)


def simulate_command(
    source: Annotated[str, typer.Argument(help="Slug of a source that has a simulator.")],
    n: Annotated[int, typer.Option(help="Units: studies, images or recordings.")],
    out: Annotated[Path, typer.Option(help="The raw tree's folder, new or empty.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 0,
    quirks: Annotated[
        bool, typer.Option("--quirks", help="With the known faults of the real source.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="What was written, as JSON.")] = False,
) -> None:
    """Write made-up raw files in a source's own layout."""
    with console.tally("files", quiet=json) as progress:
        files = qoqdata.simulate(source, n=n, out=out, seed=seed, quirks=quirks, progress=progress)
    if json:
        console.emit_json({"source": source, "out": str(out), "units": n, "files": files})
        return
    console.say(f"{out}: {n} made-up units of {source} in {files:,} files")
