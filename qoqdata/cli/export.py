"""qoqdata export: the formats of other trainers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import console

EPILOG = """Example:  qoqdata export ./set --to trl --out ./trl

verl, trl    Parquet with images in the rows; records with an ECG are left out and counted
sharegpt     JSON lines and image files; likewise
webdataset   tar files; images, masks and ECGs in a zip file of each sample
climb        JSON lines of CLIMB and QoQ-Med with image, mask and NumPy files
records      the records as they are, in Parquet whose splits plain clients find

All images of a record are kept, in order. An export is for use where it lies: what may leave is
for `qoqdata publish` to decide."""


def add(app: typer.Typer) -> None:
    app.command("export", epilog=EPILOG)(export_command)


def export_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder or URL.")],
    to: Annotated[str, typer.Option(help="verl, trl, sharegpt, webdataset, climb or records.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    blanked: Annotated[
        bool, typer.Option("--blanked", help="With boxes of burned-in text black, as published.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Write kept records in the format of another trainer, one file or more a split."""
    blanking = qoqdata.blanking(dataset) if blanked else None
    with console.counter("records", quiet=json) as progress:
        tally = qoqdata.export(dataset, to=to, out=out, blanking=blanking, progress=progress)
    if json:
        console.emit_json({"written": tally.written, "left_out": tally.left_out})
        return
    console.table(("split", "records"), tally.written.items())
    for reason, count in tally.left_out.items():
        console.say(f"left out: {count:,} records ({reason})")
