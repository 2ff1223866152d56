"""qoqdata stats: rarity and difficulty tables."""

from __future__ import annotations

from typing import Annotated

import typer

import qoqdata
from qoqdata import console
from qoqdata.statistics.tables import Stats


def add(app: typer.Typer) -> None:
    app.command("stats", epilog="Example:  qoqdata stats ./set --prior")(stats_command)


def stats_command(
    dataset: Annotated[str, typer.Argument(help="The data set's folder.")],
    prior: Annotated[
        bool, typer.Option("--prior", help="First make the difficulty prior from label entropy.")
    ] = False,
    policy: Annotated[str | None, typer.Option(help="Whose difficulty to use.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Tables as JSON.")] = False,
) -> None:
    """Write how rare and how hard every part is.

    The tables are stats/*.parquet, by domain, source, label and question difficulty.
    """
    stats = qoqdata.stats(dataset, policy=policy, prior=prior)
    if json:
        frames = {"domains": stats.domains, "sources": stats.sources, "labels": stats.labels}
        console.emit_json({name: frame.to_dicts() for name, frame in frames.items()})
        return
    show(stats)


def show(stats: Stats) -> None:
    """Domains and sources, with one line on where the difficulty comes from."""
    columns = {
        "n_records": "questions",
        "n_studies": "studies",
        "n_patients": "patients",
        "n_images": "images",
        "share": "share",
        "rarity": "rarity",
        "label_entropy": "label bits",
        "success_rate": "success rate",
    }
    for title, frame in (("domain", stats.domains), ("source", stats.sources)):
        rows = frame.sort("n_studies", "key", descending=[True, False]).select("key", *columns)
        console.table((title, *columns.values()), rows.iter_rows())
        console.say()
    policies = stats.domains["policy"].drop_nulls().unique().sort().to_list()
    difficulty = ", ".join(policies) if policies else "none yet; see `qoqdata difficulty --help`"
    console.say("share and rarity count studies, however many questions ask about one")
    console.say(f"difficulty from: {difficulty}")
