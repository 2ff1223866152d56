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

A weight of 2 means: a rollout of this domain counts twice as much as the average draw's."""

_HEADS = ("N", "rarity", "success rate", "from", "clusters", "difficulty", "weight", "bounded")


#: What the columns are, in the order in which they are made.
LEGEND = """N: studies, or draws under the mix; in the published presets questions
rarity: 1 / N
success rate: mean answer, 0 hard to 1 easy; from: whose rollouts or what formula
clusters: success rate x share of the questions; at rate 0 nothing is learned
difficulty: mean over the questions of clusters above 0 of 1 / (success rate of
the domain x of the cluster x root of the cluster's share), relative to the
others: few questions that are hardly ever right make a domain heavy
weight: rarity x difficulty, mean 1 over N. A domain that is unknown or was never
right has the mean difficulty of the others, before bounds and after
bounded: what training uses, mean 1 over N too; * some questions are at a bound"""


def add(app: typer.Typer) -> None:
    app.command("weights", epilog=EPILOG)(weights_command)


def weights_command(
    dataset: Annotated[str, typer.Argument(help="A data set with statistics: folder or URL.")],
    by: Annotated[str, typer.Option(help="domain or source.")] = "domain",
    preset: Annotated[
        str | None, typer.Option(help="DRPO preset; default that of `qoqtrain train`.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Rows as JSON.")] = False,
) -> None:
    """Print the weights with which DRPO starts, from the statistics and what the mix draws."""
    with console.working("weighing", quiet=json):
        rows = qoqtrain.weights(dataset, by=by, preset=preset)
    if json:
        console.emit_json(rows)
        return
    show(rows, by)


def show(weights: Sequence[WeightRow], by: str) -> None:
    """Weights from the largest to the smallest group, and what they are made of."""
    rows = sorted(weights, key=lambda row: -(row["n_records"] or 0))
    console.table(
        (by, "questions", "studies", *_HEADS),
        [
            (
                row["domain"],
                row["n_records"],
                row["n_studies"],
                _count(row["n"]),
                row["rarity_factor"],
                row["success_rate"],
                row["measured_by"] or row["success_rate_from"],
                _clusters(row["clusters"]),
                row["difficulty_factor"],
                row["weight"],
                _bounded(row),
            )
            for row in rows
        ],
    )
    console.say(f"\n{LEGEND}")


def _count(n: float) -> str:
    """Draws are no whole numbers, and few of them are worth their digits."""
    return f"{n:,.0f}" if n >= 100 else f"{n:.3g}"


def _clusters(clusters: Sequence[tuple[float, float]]) -> str:
    """The three largest."""
    largest = sorted(clusters, key=lambda pair: -pair[1])[:3]
    text = ", ".join(f"{rate:.2f} x {share:.0%}" for rate, share in sorted(largest))
    return text + (" ..." if len(clusters) > 3 else "") if clusters else "-"


def _bounded(row: WeightRow) -> str:
    return f"{row['weight_bounded']:.3g}{'*' if row['bound_share'] > 0 else ''}"


def show_starting_weights(dataset: Path) -> None:
    """The demo's last step: from statistics to DRPO weights."""
    show(qoqtrain.weights(dataset), "domain")
