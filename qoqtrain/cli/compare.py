"""qoqtrain compare: two evaluations of the same questions."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import qoqtrain
from qoqdata import console

EPILOG = """Example:  qoqtrain compare base/evaluation.json tuned/evaluation.json

Each evaluation.json needs the per_record.parquet that was written with it."""


def add(app: typer.Typer) -> None:
    app.command("compare", epilog=EPILOG)(compare_command)


def compare_command(
    first: Annotated[Path, typer.Argument(help="evaluation.json of the one.")],
    second: Annotated[Path, typer.Argument(help="evaluation.json of the other.")],
    bootstrap: Annotated[int, typer.Option(min=1, help="Replicates.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Rows as JSON.")] = False,
) -> None:
    """Print what the second policy does better or worse, with a paired bootstrap by patient."""
    with console.working("drawing samples", quiet=json):
        differences = qoqtrain.compare(first, second, bootstrap=bootstrap, seed=seed)
    if json:
        console.emit_json([asdict(row) for row in differences])
        return
    console.table(
        ("level", "name", "metric", "first", "second", "difference", "low", "high", "p"),
        [
            (
                row.level.replace("_", " "),
                row.name,
                row.metric.replace("_", " "),
                row.first,
                row.second,
                row.difference.value,
                row.difference.low,
                row.difference.high,
                row.p,
            )
            for row in differences
        ],
    )
    console.say(f"\ndifference: second minus first; low, high: 95 %, {bootstrap:,} paired draws")
    console.say("p is for one figure; among many figures some are small by chance")
