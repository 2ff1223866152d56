"""qoqdata curate: which records stay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import console

if TYPE_CHECKING:
    import polars as pl

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
    on_finding: drop            # drop (default), report or skip"""


def add(app: typer.Typer) -> None:
    app.command("curate", epilog=EPILOG)(curate_command)


def curate_command(
    dataset: Annotated[str, typer.Argument(help="The data set's folder.")],
    recipe: Annotated[Path | None, typer.Option(help="curation.yaml with your decisions.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Decide which records stay: protected health information in texts, images in two splits.

    Verdicts go to curation/verdicts.parquet, findings without their text to curation/phi.parquet,
    pairs of images to curation/leakage.parquet. Text burned into images is not looked for, nor
    are flipped, turned or cropped copies. Exit code 1 means that findings are open.
    """
    with console.counter("records", quiet=json) as progress:
        result = qoqdata.curate(dataset, recipe=recipe, progress=progress)
    if json:
        leaks = None if result.leaks is None else result.leaks["id"].n_unique()
        console.emit_json({**result.phi.model_dump(), "records_in_two_splits": leaks})
    else:
        show(result)
    console.leave(console.FINDINGS if result.phi.open else console.DONE)


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
    dropped = result.verdicts.filter(~pl.col("keep"))["id"].n_unique()
    console.say(
        f"{result.phi.records:,} records read: {result.findings.height} findings, "
        f"{dropped} records dropped, {result.phi.open} findings open"
    )


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
