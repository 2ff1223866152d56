"""qoqdata diff: what changed between two data sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import console

if TYPE_CHECKING:
    from qoqdata.differences import SetDifference

EPILOG = """Example:  qoqdata diff ./set-1.0 ./set

Against what is published:  qoqdata diff hf://datasets/our-lab/our-set ./set"""


def add(app: typer.Typer) -> None:
    app.command("diff", epilog=EPILOG)(diff_command)


def diff_command(
    before: Annotated[str, typer.Argument(help="The older data set: folder or URL.")],
    after: Annotated[str, typer.Argument(help="The newer one.")],
    json: Annotated[bool, typer.Option("--json", help="Every record as JSON.")] = False,
) -> None:
    """Compare two data sets record by record.

    Tells by source which records were added, removed, moved to another split, relabelled or
    otherwise changed.
    """
    with console.working("comparing records", quiet=json):
        change = qoqdata.diff(before, after)
    if json:
        console.emit_json(change.records.to_dicts())
        return
    show(change)


def show(change: SetDifference) -> None:
    """Counts by source and kind, and the moves between splits."""
    counts = change.by_source()
    if counts.height == 0:
        console.say("the same records")
        return
    console.table(counts.columns, counts.iter_rows())
    moves = change.records.filter(kind="moved").group_by("source", "before", "after").len()
    if moves.height:
        console.say()
        columns = ("source", "from", "to", "records")
        console.table(columns, moves.sort("source", "before", "after").iter_rows())
