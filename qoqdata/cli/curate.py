"""qoqdata curate: which records stay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import console

if TYPE_CHECKING:
    import polars as pl

    from qoqdata.curation.burned_in.pixels import PixelCuration
    from qoqdata.curation.verdicts import Curation

EPILOG = """Example:  qoqdata curate ./set

With decisions:  qoqdata curate ./set --recipe curation.yaml

\b
  # curation.yaml
  phi:
    on_finding: open            # drop (default) or open
    accept:
      - {rule: date, source: ptb_xl, column: context, why: "dates are shifted by the source"}
  leakage:
    on_finding: drop            # drop (default), report or skip
  burned_in:
    on_finding: blank           # open (default), blank (black boxes in what is published) or drop
    accept:
      - {source: echo, evidence: screen, why: "depth scales of the device, looked at"}"""


def add(app: typer.Typer) -> None:
    app.command("curate", epilog=EPILOG)(curate_command)


def curate_command(
    dataset: Annotated[str, typer.Argument(help="The data set's folder.")],
    recipe: Annotated[Path | None, typer.Option(help="curation.yaml with your decisions.")] = None,
    burned_in: Annotated[
        bool | None,
        typer.Option(
            "--burned-in/--no-burned-in",
            help="Look for text in all images, or none. Default: private ones and what may leave.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Decide which records stay: protected health information in texts and pixels, leakage.

    Verdicts go to curation/verdicts.parquet, findings without their text to curation/phi.parquet,
    pairs of images to curation/leakage.parquet. Text burned into images goes to
    curation/burned_in.parquet with its box, and to burned_in.html to look at. Flipped, turned or
    cropped copies of images are not looked for. Exit code 1 means that findings are open.
    """
    with console.counter("records", quiet=json) as progress:
        result = qoqdata.curate(dataset, recipe=recipe, burned_in=burned_in, progress=progress)
    if json:
        leaks = None if result.leaks is None else result.leaks["id"].n_unique()
        pixels = None if result.pixels is None else result.pixels.receipt.model_dump()
        counts = {"records_in_two_splits": leaks, "burned_in": pixels}
        console.emit_json({**result.phi.model_dump(), **counts})
    else:
        show(result)
    in_pixels = 0 if result.pixels is None else result.pixels.receipt.open
    console.leave(console.FINDINGS if result.phi.open or in_pixels else console.DONE)


def show(result: Curation) -> None:
    """Findings by rule and outcome, and where they are."""
    import polars as pl

    counts = (
        result.findings.group_by("source", "column", "rule", "outcome")
        .agg(findings=pl.len(), records=pl.col("id").n_unique())
        .sort("source", "column", "rule", "outcome")
    )
    if counts.height:
        console.table(counts.columns, counts.iter_rows())
        console.say()
    if result.leaks is not None and result.leaks.height:
        _show_leaks(result.leaks)
    if result.pixels is not None and result.pixels.findings.height:
        _show_pixels(result.pixels)
    dropped = result.verdicts.filter(~pl.col("keep"))["id"].n_unique()
    console.say(
        f"{result.phi.records:,} records read: {result.findings.height} findings, "
        f"{dropped} records dropped, {result.phi.open} findings open"
    )


def _show_pixels(pixels: PixelCuration) -> None:
    """Lines of text in images, by source and outcome, and how they were read."""
    rows = [
        (source, looked.images, outcome, count)
        for source, looked in pixels.receipt.sources.items()
        for outcome, count in looked.outcomes.items()
    ]
    console.table(("source", "images", "text burned in", "lines"), rows)
    if pixels.receipt.ocr is None:
        console.say("nothing read them: pip install 'qoqdata[ocr]' finds fewer that are none")
    console.say("look at them in curation/burned_in.html\n")


def _show_leaks(leaks: pl.DataFrame) -> None:
    """Records that show an image of a later split, by the sources and splits of both."""
    import polars as pl

    columns = ("source", "split", "other_source", "other_split")
    counts = (
        leaks.group_by(*columns)
        .agg(records=pl.col("id").n_unique(), least_correlation=pl.col("correlation").min())
        .sort(*columns)
    )
    head = ("source", "split", "shows images of", "split", "records", "correlation from")
    console.table(head, counts.iter_rows())
    console.say()
