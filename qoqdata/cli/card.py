"""qoqdata card: the page of a data set."""

from __future__ import annotations

from typing import Annotated

import typer

import qoqdata
from qoqdata import console


def add(app: typer.Typer) -> None:
    app.command("card", epilog="Example:  qoqdata card ./set")(card_command)


def card_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder, or URL in a bucket.")],
    repo_id: Annotated[str | None, typer.Option(help="ORG/NAME, for the loading snippet.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The files as JSON.")] = False,
) -> None:
    """Write README.md, figures and croissant.json from manifest, cards and statistics.

    `qoqdata publish` does it for what leaves; this is for a look, or for sets that stay.
    """
    with console.working("writing the card", quiet=json):
        paths = qoqdata.card(dataset, repo_id=repo_id)
    if json:
        console.emit_json({"files": list(paths)})
        return
    for path in paths:
        console.say(str(path))
