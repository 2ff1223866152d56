"""qoqdata decide: keep, drop or relabel one record, or say something of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

import qoqdata
from qoqdata import console
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqdata.curation.decision_log import Said

Choice = Literal["keep", "drop", "relabel", "comment", "undo"]

EPILOG = """Example:  qoqdata decide ./set 0f3a... drop --why "cut off at the apex"

Another answer:  qoqdata decide ./set 0f3a... relabel --answer Clear
  --why "no effusion"

Take it back:  qoqdata decide ./set 0f3a... undo"""


def add(app: typer.Typer) -> None:
    app.command("decide", epilog=EPILOG)(decide_command)


def decide_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder, or URL in a bucket.")],
    id: Annotated[str, typer.Argument(help="The record's id.")],
    decision: Annotated[Choice, typer.Argument()],
    why: Annotated[
        str | None, typer.Option(help="Your reason, or what you have to say of it.")
    ] = None,
    answer: Annotated[
        str | None, typer.Option(help="With relabel: the right one; several joined by commas.")
    ] = None,
    author: Annotated[
        str | None, typer.Option(help="Who decides. Default: who is logged in.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="The decision as JSON.")] = False,
) -> None:
    """Keep, drop or relabel one record whatever the rules of curation say, comment on it, or take
    that back.

    Decisions are kept in curation/decisions.jsonl and outlive `qoqdata curate`. The next pass
    releases a record that is held back for its text, if it finds the same; what a recipe drops for
    privacy stays dropped. A relabelled record is left out, and its verdict has the right answer,
    until `qoqdata correct` writes a set that has it.
    Publication asks for that pass.
    """
    made = _made(dataset, id, decision, why, answer, author)
    if json:
        console.emit_json(made.model_dump())
        return
    verb = "taken back" if decision == "undo" else "decided"
    console.say(f"{verb}: {_told(made)}")


def _made(
    dataset: str, id: str, decision: Choice, why: str | None, answer: str | None, author: str | None
) -> Said:
    if (decision == "relabel") != (answer is not None):
        fix = f'qoqdata decide {dataset} {id} relabel --answer ANSWER --why "..."'
        raise UsageError("relabel and --answer go together", where="--answer", fix=fix)
    if decision == "undo":
        if why is not None:
            raise UsageError("taking back needs no reason", where="--why", fix="leave it away")
        return qoqdata.undo(dataset, id, author=author)
    if why is None:
        more = "" if answer is None else f"--answer '{answer}' "
        fix = f'qoqdata decide {dataset} {id} {decision} {more}--why "..."'
        raise UsageError("a decision needs a reason", where="--why", fix=fix)
    if decision == "comment":
        return qoqdata.comment(dataset, id, why, author=author)
    if answer is not None:
        return qoqdata.relabel(dataset, id, answer, why=why, author=author)
    return qoqdata.decide(dataset, id, decision == "keep", why=why, author=author)


def _told(made: Said) -> str:
    if hasattr(made, "comment"):
        return f"comment {made.order} of {made.author} on {made.id}: {made.comment}"
    right = "" if made.answer is None else f", right is {made.answer}"
    return f"{made.choice} {made.id}{right}, decision {made.order} of {made.author}: {made.why}"
