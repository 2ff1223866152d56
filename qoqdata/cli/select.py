"""qoqdata select: a subset of a data set, as verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import console
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqdata.curation.selection import Selection

EPILOG = """Example:  qoqdata select ./set --target target.yaml

By size alone, with the shares of the sources:  qoqdata select ./set --size 10000

Take it back:  qoqdata select ./set --undo"""


def add(app: typer.Typer) -> None:
    app.command("select", epilog=EPILOG)(select_command)


def select_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder, or URL in a bucket.")],
    target: Annotated[Path | None, typer.Option(help="Size, bounds and balance, as YAML.")] = None,
    size: Annotated[int | None, typer.Option(help="Records to keep, without a target.")] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take the selection back.")] = False,
    json: Annotated[bool, typer.Option("--json", help="What was selected, as JSON.")] = False,
) -> None:
    """Keep so many records of a split, within bounds, and drop the others by verdict.

    Nothing is copied and nothing lost. Run `qoqdata stats` after it, and `qoqdata curate` before
    publishing.
    """
    if sum(one is not None for one in (target, size)) + undo != 1:
        raise UsageError("say one of --target FILE, --size N and --undo")
    if undo:
        count = qoqdata.unselect(dataset)
        if json:
            console.emit_json({"taken_back": count})
        else:
            console.say(f"taken back: {count:,} verdicts")
        return
    found = qoqdata.select(dataset, target if target is not None else {"size": size})
    if json:
        tables = {"bounds": found.bounds.to_dicts(), "groups": found.groups.to_dicts()}
        console.emit_json({"size": found.size, "there": found.there, **tables})
        return
    show(found)


def show(found: Selection) -> None:
    """Bounds and groups, with what there is and what was selected of each."""
    for table in (found.bounds, found.groups):
        if table.height:
            console.table(table.columns, table.iter_rows())
            console.say()
    console.say(f"selected: {found.size:,} of {found.there:,} records")
