"""qoqdata traces: the best rollouts as reasoning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import console

EPILOG = """Example:  qoqdata traces ./set --from ./run/rollouts.parquet --out ./set-traced

The new set has another digest: run `qoqdata curate` on it before it is published."""


def add(app: typer.Typer) -> None:
    app.command("traces", epilog=EPILOG)(traces_command)


def traces_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder or URL.")],
    rollouts: Annotated[
        Path, typer.Option("--from", help="Rollouts: Parquet file or folder, or JSONL.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new version.")],
    least: Annotated[float, typer.Option(help="Least reward of a trace.")] = 1.0,
    policy: Annotated[str | None, typer.Option(help="Where the rollouts name none.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Turn a policy's best rollouts into the reasoning column of a new version of the set.

    A trace is the text in <think></think> of a rollout that was right; one a question. Only records
    that are trained on get one, and no text in which the rules for PHI find something.
    """
    with console.counter("shards", quiet=json) as progress:
        traced = qoqdata.traces(
            dataset, rollouts, out=out, least=least, policy=policy, progress=progress
        )
    digest = traced.manifest.digest
    if json:
        names = ("rollouts", "questions", "traces")
        counts = {name: getattr(traced, name) for name in names}
        counts["left_out"] = dict(traced.left_out)
        console.emit_json({"out": str(out), "digest": digest} | counts)
        return
    console.say(
        f"{traced.rollouts:,} rollouts of {traced.questions:,} questions: "
        f"{traced.traces:,} traces\ndata set {out}  digest {digest[:16]}"
    )
    for reason, count in traced.left_out.items():
        console.say(f"left out: {count:,} rollouts, {reason}")
