"""qoqtrain weights: the DRPO weights with which training on a data set starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import qoqtrain
from qoqdata import console

if TYPE_CHECKING:
    from qoqtrain.drpo import WeightRow

EPILOG = """Example:  qoqtrain weights ./set --by domain

A weight of 2 means: a rollout of this domain counts twice as much as the average study's."""

_HEADS = ("share", "rarity", "success rate", "weight", "bounded", "from")


def add(app: typer.Typer) -> None:
    app.command("weights", epilog=EPILOG)(weights_command)


def weights_command(
    dataset: Annotated[str, typer.Argument(help="A data set with statistics: folder or URL.")],
    by: Annotated[str, typer.Option(help="domain or source.")] = "domain",
    preset: Annotated[str, typer.Option(help="DRPO preset.")] = "streaming",
    json: Annotated[bool, typer.Option("--json", help="Rows as JSON.")] = False,
) -> None:
    """Print the starting weights that DRPO takes from the statistics."""
    rows = qoqtrain.weights(dataset, by=by, preset=preset)
    if json:
        console.emit_json(rows)
        return
    show(rows, by)


def show(weights: Sequence[WeightRow], by: str) -> None:
    """Weights from the largest to the smallest group, and what they are made of."""
    heads = (by, "questions", "studies", *_HEADS)
    rows = sorted(weights, key=lambda row: -(row["n_records"] or 0))
    console.table(
        heads,
        [
            (
                row["domain"],
                row["n_records"],
                row["n_studies"],
                row["share"],
                row["rarity"],
                row["success_rate"],
                row["weight"],
                row["weight_bounded"],
                row["success_rate_from"],
            )
            for row in rows
        ],
    )
    console.say("\nshare and rarity count studies; in the published presets, questions")
    console.say("weight: the published DRPO factor, with mean 1 over what they count")
    console.say("bounded: what training uses")
    console.say("success rate: mean reward, 0 hard to 1 easy; from: where it was measured")


def show_starting_weights(dataset: Path) -> None:
    """The demo's last step: from statistics to DRPO weights."""
    show(qoqtrain.weights(dataset), "domain")
