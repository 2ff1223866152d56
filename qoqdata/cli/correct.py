"""qoqdata correct: a copy of a set with the answers that people gave."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import console

EPILOG = """Example:  qoqdata correct ./set --out ./corrected

Before it:  qoqdata decide ./set 0f3a... relabel --answer Clear
  --why "no effusion"

After it:  qoqdata curate ./corrected"""


def add(app: typer.Typer) -> None:
    app.command("correct", epilog=EPILOG)(correct_command)


def correct_command(
    dataset: Annotated[str, typer.Argument(help="The data set's folder.")],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Write the set anew with the answers of records that people relabelled.

    Ids, images and splits stay; a corrected record tells in its provenance who gave it which
    answer, and which it had. What cannot be corrected stays left out. Decisions, verdicts and
    difficulty go with it; run `qoqdata curate` and `qoqdata stats` there before it is published.
    """
    with console.counter("shards", quiet=json) as progress:
        done = qoqdata.correct(dataset, out=out, progress=progress)
    if json:
        console.emit_json({"corrected": done.corrected, "left_out": done.left_out})
        return
    console.table(("source", "corrected"), done.corrected.items())
    for reason, count in done.left_out.items():
        console.say(f"left out: {count:,} relabelled records ({reason})")
