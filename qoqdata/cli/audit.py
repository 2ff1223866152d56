"""qoqdata audit: what is wrong with labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import command_line, console
from qoqdata.statistics.probe import LIMIT

if TYPE_CHECKING:
    from qoqdata.curation.audit import Audit

EPILOG = """Example:  qoqdata audit ./set"""


def add(app: typer.Typer) -> None:
    app.command("audit", epilog=EPILOG)(audit_command)


def audit_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder, or URL in a bucket.")],
    limit: Annotated[
        int, typer.Option(min=1, help="Questions of a source, task and split that are asked.")
    ] = LIMIT,
    label_errors: Annotated[
        bool,
        typer.Option(
            "--label-errors", help="Also find answers that are likely wrong; looks at images."
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="All tables as JSON.")] = False,
) -> None:
    """Find labels that text or file facts give away, and splits whose answers differ.

    Scores those who see no image: one always gives the commonest answer, one reads question and
    context, one knows sizes, views, spacing, age and sex. Their scores (label F1, out of fold) go
    into the card. Tells splits whose answers are spread otherwise than in train, and questions
    whose answer stands in their own text, and contexts of different studies that are nearly the
    same. With --label-errors a probe that has not seen the patient says which answers of train are
    likely wrong: a person, or the recipe of `qoqdata curate`, decides. Exit code 1 means that
    something was found.
    """
    with console.counter("images", quiet=json) as progress:
        found = qoqdata.audit(dataset, limit=limit, label_errors=label_errors, progress=progress)
    if json:
        tables = ["answerers", "shifts", "giveaways", "alike_texts"]
        if label_errors:
            tables.append("label_errors")
        console.emit_json({name: getattr(found, name).to_dicts() for name in tables})
    else:
        show(found)
    faults = [found.told, found.shifted, found.giveaways, found.alike_texts]
    if found.label_errors is not None:
        faults.append(found.label_errors)
    clean = not any(table.height for table in faults)
    command_line.leave(command_line.DONE if clean else command_line.FINDINGS)


def show(found: Audit) -> None:
    """The scores of those who see no image, and what was found."""
    console.table(found.answerers.columns, found.answerers.iter_rows())
    for title, table in (
        ("\ntold by text or file facts", found.told.drop("commonest")),
        ("\nanswers spread otherwise than in train", found.shifted.drop("unseen")),
        (
            "\nanswers in their own question",
            found.giveaways.group_by("source", "task", "split", "fault")
            .len("questions")
            .sort("source", "task", "split", "fault"),
        ),
        (
            "\ncontexts of different studies that are alike",
            found.alike_texts.group_by("source", "split", "other_split")
            .len("texts")
            .sort("source", "split", "other_split"),
        ),
        (
            "\nanswers that are likely wrong",
            None
            if found.label_errors is None
            else found.label_errors.group_by("source", "task", "answer", "likelier")
            .len("questions")
            .sort("source", "task", "answer", "likelier"),
        ),
    ):
        if table is not None and table.height:
            console.table(table.columns, table.iter_rows(), title=title)
