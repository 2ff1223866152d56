"""qoqdata decide: keep or drop one record."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

import qoqdata
from qoqdata import console
from qoqdata.errors import UsageError

EPILOG = """Example:  qoqdata decide ./set 0f3a... drop --why "cut off at the apex"

Take it back:  qoqdata decide ./set 0f3a... undo"""


def add(app: typer.Typer) -> None:
    app.command("decide", epilog=EPILOG)(decide_command)


def decide_command(
    dataset: Annotated[str, typer.Argument(help="The data set's folder.")],
    id: Annotated[str, typer.Argument(help="The record's id.")],
    decision: Annotated[Literal["keep", "drop", "undo"], typer.Argument()],
    why: Annotated[str | None, typer.Option(help="Your reason; needed to keep or drop.")] = None,
    author: Annotated[
        str | None, typer.Option(help="Who decides. Default: who is logged in.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The decision as JSON.")] = False,
) -> None:
    """Keep or drop one record whatever the rules of curation say, or take that back.

    Decisions are kept in curation/decisions.jsonl and outlive `qoqdata curate`. The next pass
    releases a record that is held back for its text, if it finds the same; what a recipe drops for
    privacy stays dropped. Publication asks for that pass.
    """
    if decision == "undo":
        if why is not None:
            raise UsageError("taking back needs no reason", where="--why", fix="leave it away")
        made, verb = qoqdata.undo(dataset, id, author=author), "taken back"
    else:
        if why is None:
            fix = f'qoqdata decide {dataset} {id} {decision} --why "..."'
            raise UsageError("a decision needs a reason", where="--why", fix=fix)
        made = qoqdata.decide(dataset, id, decision == "keep", why=why, author=author)
        verb = "decided"
    if json:
        console.emit_json(made.model_dump())
    else:
        word = "keep" if made.keep else "drop"
        console.say(f"{verb}: {word} {made.id}, decision {made.order} of {made.author}: {made.why}")
