"""qoqdata audit: what is wrong with labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import command_line, console
from qoqdata.statistics.probe import LIMIT

if TYPE_CHECKING:
    import polars as pl

    from qoqdata.curation.audit import Audit, ProbedLabels

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
    harmonise: Annotated[
        str | None,
        typer.Option(help="With --label-errors, a table of concepts that your sources share."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="All tables as JSON.")] = False,
) -> None:
    """Find labels that text or file facts give away, and splits whose answers differ.

    Scores those who see no image: one always gives the commonest answer, one reads question and
    context, one knows sizes, views, spacing, age and sex. Their scores (label F1, out of fold) go
    into the card. Tells splits whose answers are spread otherwise than in train, and questions
    whose answer stands in their own text, and contexts of different studies that are nearly the
    same. Where a card has published counts of labels, a mapping that is wrong throughout is told.
    With --label-errors a probe that has not seen the patient says which answers are likely wrong,
    which held-out labels disagree with train, and which sources contradict each other: a person
    decides, or of train the recipe of `qoqdata curate`. Exit code 1 means that something was found.
    """
    with console.counter("images", quiet=json) as progress:
        found = qoqdata.audit(
            dataset,
            limit=limit,
            label_errors=label_errors,
            harmonise=harmonise,
            progress=progress,
        )
    tables = ["answerers", "shifts", "giveaways", "alike_texts", "prevalence"]
    listed = {name: getattr(found, name) for name in tables}
    faults = [found.told, found.shifted, found.giveaways, found.alike_texts, found.mismapped]
    if (probed := found.probed) is not None:
        listed |= {"label_errors": probed.errors, "held_out": probed.held_out}
        listed["contradictions"] = probed.contradictions
        faults += [probed.errors, probed.estranged, probed.contradictions]
    if json:
        console.emit_json({name: table.to_dicts() for name, table in listed.items()})
    else:
        show(found)
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
        ("\nlabels against published counts", found.prevalence),
        *(() if found.probed is None else _probed(found.probed)),
    ):
        if table.height:
            console.table(table.columns, table.iter_rows(), title=title)


def _probed(found: ProbedLabels) -> Iterator[tuple[str, pl.DataFrame]]:
    """What the probe says: titles and tables."""
    keys = ["source", "task", "split", "answer", "likelier"]
    errors = found.errors.group_by(keys).len("questions").sort(keys)
    yield "\nanswers that are likely wrong", errors
    yield "\nheld-out labels that are told far worse than those of train", found.estranged
    yield "\nsources that contradict each other", found.contradictions
