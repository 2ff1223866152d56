"""qoqdata report: one page on a data set, for reviewers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import console

EPILOG = """Example:  qoqdata report ./set

Of a release:  qoqdata report hf://datasets/our-lab/our-set --out report.html"""


def add(app: typer.Typer) -> None:
    app.command("report", epilog=EPILOG)(report_command)


def report_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder or URL.")],
    out: Annotated[
        Path | None, typer.Option(help="The file. Default: report/index.html in the set.")
    ] = None,
    samples: Annotated[
        str, typer.Option(help="Of which sources records are shown: open, all or none.")
    ] = "open",
    json: Annotated[bool, typer.Option("--json", help="The file as JSON.")] = False,
) -> None:
    """Write one page for reviewers: sources, counts, proof of the splits, quarantine, curation,
    rarity, labels, people, share of training, samples.

    The page asks for nothing from elsewhere. Records of private sources, and of those whose terms
    forbid it, are shown with --samples all alone: that page stays in the house.
    """
    with console.counter("records", quiet=json) as progress:
        path = qoqdata.report(dataset, out=out, samples=samples, progress=progress)  # type: ignore[arg-type]
    size = path.stat().st_size
    if json:
        console.emit_json({"file": path, "bytes": size})
        return
    console.say(f"{path}  ({console.size(size)})")
