"""qoqdata card: the page of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qoqdata import console


def add(app: typer.Typer) -> None:
    app.command("card", epilog="Example:  qoqdata card ./set")(card_command)


def card_command(
    dataset: Annotated[Path, typer.Argument(help="The data set's folder.")],
    repo_id: Annotated[str | None, typer.Option(help="ORG/NAME, for the loading snippet.")] = None,
) -> None:
    """Write README.md, figures and croissant.json from manifest, cards and statistics.

    `qoqdata publish` does it for what leaves; this is for a look, or for sets that stay.
    """
    from qoqdata.dataset import open_dataset
    from qoqdata.publication.pages import write_pages

    url = f"hf://datasets/{repo_id}" if repo_id else None
    for path in write_pages(open_dataset(dataset), url):
        console.say(str(path))
