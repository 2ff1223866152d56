"""qoqdata prepare: the large tables of a source, made small once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import console

EPILOG = """Example:  qoqdata prepare mimic_iv --raw ./mimiciv

Then:  qoqdata build mimic_iv --raw ./mimiciv --out ./set

Where it was interrupted, the same command goes on."""


def add(app: typer.Typer) -> None:
    app.command("prepare", epilog=EPILOG)(prepare_command)


def prepare_command(
    source: Annotated[str, typer.Argument(help="Slug of a source with large tables.")],
    raw: Annotated[Path, typer.Option(help="Raw folder.")],
    out: Annotated[
        Path | None, typer.Option(help="Where the result goes (default: in the raw folder).")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="What was made, as JSON.")] = False,
) -> None:
    """Make small tables of a source's large ones, once, before it is built.

    Tables are read as they are packed, in blocks, so that memory does not grow with them.
    """
    with console.tally("MB and files", quiet=json) as progress:
        receipt = qoqdata.prepare(
            source,
            raw=raw,
            out=out,
            progress=lambda step, done: progress(done // 2**20 or done),
        )
    if json:
        console.emit_json({"source": source, **receipt})
        return
    console.say(f"{source}: prepared {receipt.get('stays', 0):,} stays")
    for table, counts in receipt.get("events", {}).items():
        told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
        console.say(f"{table}: {told}")
