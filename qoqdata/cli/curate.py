"""qoqdata curate: which records stay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qoqdata import console

if TYPE_CHECKING:
    from qoqdata.curate.curation import Curation

EPILOG = """Example:  qoqdata curate ./set

With decisions:  qoqdata curate ./set --recipe curation.yaml

  # curation.yaml
  phi:
    on_finding: open            # drop (default) or open
    accept:
      - {rule: date, source: ptb_xl, column: context, why: "dates are shifted by the source"}"""


def add(app: typer.Typer) -> None:
    app.command("curate", epilog=EPILOG)(curate_command)


def curate_command(
    dataset: Annotated[Path, typer.Argument(help="The data set's folder.")],
    recipe: Annotated[Path | None, typer.Option(help="curation.yaml with your decisions.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Look for protected health information in all texts, and decide which records stay.

    Verdicts go to curation/verdicts.parquet, findings without their text to curation/phi.parquet.
    Text burned into pictures is not looked for. Exit code 1 means that findings are open.
    """
    from qoqdata.curate import recipe as recipes
    from qoqdata.curate.curation import curate
    from qoqdata.dataset import open_dataset

    result = curate(open_dataset(dataset), recipes.load(recipe))
    if json:
        console.emit_json(result.phi.model_dump())
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
    dropped = result.verdicts.filter(~pl.col("keep"))["id"].n_unique()
    console.say(
        f"{result.phi.records:,} records read: {result.findings.height} findings, "
        f"{dropped} records dropped, {result.phi.open} findings open"
    )
