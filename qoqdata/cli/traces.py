"""qoqdata traces: the best rollouts as reasoning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qoqdata import console

EPILOG = """Example:  qoqdata traces ./set --from run/rollouts.parquet --out ./set-traced

The new set has another digest: run `qoqdata curate` on it before it is published."""


def add(app: typer.Typer) -> None:
    app.command("traces", epilog=EPILOG)(traces_command)


def traces_command(
    dataset: Annotated[Path, typer.Argument(help="The data set's folder.")],
    rollouts: Annotated[
        Path, typer.Option("--from", help="Rollouts: Parquet file or folder, or JSONL.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new version.")],
    least: Annotated[float, typer.Option(help="Least reward of a trace.")] = 1.0,
    policy: Annotated[str | None, typer.Option(help="Where the rollouts name none.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Turn a policy's best rollouts into the reasoning column of a new version of the set.

    A trace is the text in <think></think> of a rollout that was right; one a question.
    """
    from qoqdata.dataset import open_dataset
    from qoqdata.reasoning import best_traces, read_traces, write_traced_set

    table = read_traces(rollouts)
    chosen = best_traces(table, least=least)
    manifest = write_traced_set(open_dataset(dataset), chosen, out, policy=policy)
    questions = table["id"].n_unique()
    if json:
        counts = {"rollouts": table.height, "questions": questions, "traces": chosen.height}
        console.emit_json({"out": str(out), "digest": manifest.digest} | counts)
        return
    console.say(
        f"{table.height:,} rollouts of {questions:,} questions: {chosen.height:,} traces\n"
        f"data set {out}  digest {manifest.digest[:16]}"
    )
