"""qoqdata prove: that nothing held out is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import command_line, console

if TYPE_CHECKING:
    from qoqdata.curation.proof import Proof

EPILOG = """Example:  qoqdata prove ./set

For a paper's appendix:  qoqdata prove ./set --out disjointness.md"""


def add(app: typer.Typer) -> None:
    app.command("prove", epilog=EPILOG)(prove_command)


def prove_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder, or URL in a bucket.")],
    out: Annotated[Path | None, typer.Option(help="Write it there, as Markdown.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Show that no patient, study, image or signal stands in two splits.

    Counts the records that curation keeps, and tells what it left out and which benchmark's cases
    were kept out of train. Exit code 1 means that two splits share something.
    """
    with console.counter("records", quiet=json) as progress:
        proof = qoqdata.prove(dataset, out=out, progress=progress)
    if json:
        console.emit_json(counts(proof))
    else:
        show(proof)
    command_line.leave(command_line.DONE if proof.holds else command_line.FINDINGS)


def counts(proof: Proof) -> dict[str, object]:
    """The proof as plain values."""
    tables = ("records", "shared", "dropped", "blocked", "without_patient")
    return {
        "holds": proof.holds,
        "digest": proof.digest,
        "radius": proof.radius,
        "detail": proof.detail,
        "crowded": proof.crowded,
        **{name: getattr(proof, name).to_dicts() for name in tables},
    }


def show(proof: Proof) -> None:
    """What each two splits share, and what was left out so that they share nothing."""
    shared = proof.shared
    # Where nothing is shared the examples are none, and a narrow terminal has no room for them.
    shared = shared.drop("example") if shared["example"].is_null().all() else shared
    for title, table in (
        ("", shared),
        ("left out by curation", proof.dropped),
        ("kept out of train for a benchmark", proof.blocked),
        ("records that name no patient", proof.without_patient),
    ):
        if table.height:
            names = [name.replace("_", " ") for name in table.columns]
            console.table(names, table.iter_rows(), title=title)
            console.say()
    for source, count in proof.crowded.items():
        console.say(
            f"{count:,} images or signals of {source} look like very many others and were compared "
            "with the nearest of these"
        )
    if proof.holds:
        console.say("no two splits share a patient, a study, an image or a signal")
    else:
        console.say("two splits share something: `qoqdata curate` drops the copies of images")
