"""qoqdata stats: rarity and difficulty tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import console
from qoqdata.contract.vocabulary import LABEL_STATES

if TYPE_CHECKING:
    import polars as pl

    from qoqdata.statistics.tables import Stats


def add(app: typer.Typer) -> None:
    app.command("stats", epilog="Example:  qoqdata stats ./set --prior")(stats_command)


def stats_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder, or URL in a bucket.")],
    prior: Annotated[
        bool, typer.Option("--prior", help="First make the difficulty prior from label entropy.")
    ] = False,
    policy: Annotated[str | None, typer.Option(help="Whose difficulty to use.")] = None,
    harmonise: Annotated[
        str | None, typer.Option(help="Count by concept too: a table's name, or its CSV file.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Tables as JSON.")] = False,
) -> None:
    """Write how rare and how hard every part is.

    The tables are stats/*.parquet, by domain, source, label and question difficulty, and by concept
    where --harmonise names a table that says which labels mean the same.
    """
    with console.working("counting", quiet=json):
        stats = qoqdata.stats(dataset, policy=policy, prior=prior, harmonise=harmonise)
    if json:
        frames = {"domains": stats.domains, "sources": stats.sources, "labels": stats.labels}
        frames |= {} if stats.concepts is None else {"concepts": stats.concepts}
        console.emit_json({name: frame.to_dicts() for name, frame in frames.items()})
        return
    from qoqdata.roles import evaluation_sources

    show(stats)
    if benchmarks := evaluation_sources(qoqdata.open(dataset).manifest):
        console.say(f"evaluation sources count nowhere: {', '.join(benchmarks)}")


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
    if stats.concepts is not None:
        console.say()
        show_concepts(stats.concepts)


def show_concepts(concepts: pl.DataFrame) -> None:
    """Studies of each concept by domain and state, over all splits; then labels without one."""
    import polars as pl

    studies = [
        pl.col("n_studies").filter(pl.col("state") == state).sum().alias(state)
        for state in LABEL_STATES
    ]
    sources = pl.col("source").drop_nulls().unique().sort().str.join(", ")
    keys = ("concept", "code", "domain")
    named = concepts.drop_nulls("concept")
    origin = named.group_by(keys).agg(sources=sources)
    rows = named.filter(pl.col("source").is_null()).group_by(keys).agg(studies)
    rows = rows.join(origin, on=keys, nulls_equal=True).sort("concept", "domain")
    heads = ("concept", "code", "domain", *LABEL_STATES, "sources")
    console.table(heads, rows.select(heads).iter_rows())
    console.say("asserted, uncertain and absent count studies, of all splits\n")
    bare = concepts.filter(pl.col("concept").is_null()).group_by("source", "label").agg(studies)
    rows = bare.sort("source", "label").select("label", "source", *LABEL_STATES)
    console.table(("label without a concept", "source", *LABEL_STATES), rows.iter_rows())
