"""qoqdata simulate: made-up raw files in a source's own layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import console
from qoqdata.errors import UsageError

EPILOG = """Example:  qoqdata simulate lc25000 --n 50 --out ./raw

Then:  qoqdata build lc25000 --raw ./raw --out ./set

All sources:  qoqdata simulate --all --n 20 --out ./raw

Then:  qoqdata build --config qoq_med --raw ./raw --out ./set"""


def add(app: typer.Typer) -> None:
    app.command("simulate", epilog=EPILOG)(simulate_command)


def simulate_command(
    n: Annotated[
        int,
        typer.Option(
            help="Units: studies, images or recordings. Of fewer than 10 some sources have an "
            "empty split, and refuse to be built."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The raw tree's folder, new or empty.")],
    source: Annotated[
        str | None, typer.Argument(help="Slug of a source that has a simulator.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All that have one, each in a folder of its name.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 0,
    quirks: Annotated[
        bool, typer.Option("--quirks", help="With the known faults of the real source.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="What was written, as JSON.")] = False,
) -> None:
    """Write made-up raw files in a source's own layout."""
    if (source is None) != every:
        raise UsageError("one source, or all of them", fix="give a SLUG, or --all")
    with console.tally("files", quiet=json) as progress:
        if source is None:
            by_source = qoqdata.simulate_all(
                n=n, out=out, seed=seed, quirks=quirks, progress=progress
            )
            files = sum(by_source.values())
        else:
            files = qoqdata.simulate(
                source, n=n, out=out, seed=seed, quirks=quirks, progress=progress
            )
    if json:
        console.emit_json({"source": source or "all", "out": str(out), "units": n, "files": files})
        return
    what = source or f"{len(by_source)} sources each"
    console.say(f"{out}: {n} made-up units of {what} in {files:,} files")
