"""qoqdata difficulty: how well a policy answers each question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import console
from qoqdata.statistics.probe import LIMIT

EPILOG = """Example:  qoqdata difficulty ./set --probe

From rollouts:  qoqdata difficulty ./set --from ./run/rollouts.parquet --policy our-policy"""


def add(app: typer.Typer) -> None:
    app.command("difficulty", epilog=EPILOG)(difficulty_command)


def difficulty_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder, or URL in a bucket.")],
    rollouts: Annotated[
        Path | None, typer.Option("--from", help="Rollouts: Parquet file or folder, or JSONL.")
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="From a cross-validated linear probe; no policy.")
    ] = False,
    prior: Annotated[bool, typer.Option("--prior", help="From label entropy; no policy.")] = False,
    policy: Annotated[str | None, typer.Option(help="Name of the rolled-out policy.")] = None,
    scorer: Annotated[str, typer.Option(help="How its rewards were given.")] = "unstated",
    limit: Annotated[
        int, typer.Option(min=2, help="Questions of a source and task that --probe looks at.")
    ] = LIMIT,
    json: Annotated[bool, typer.Option("--json", help="The outcome as JSON.")] = False,
) -> None:
    """Write how well a policy answers each question.

    The table is difficulty/<policy>.parquet; `qoqdata stats` then uses it. The probe is a ridge
    regression on features that nobody trained, fitted to other patients than those it answers for.
    """
    with console.counter("questions", quiet=json) as progress:
        difficulty = qoqdata.difficulty(
            dataset,
            rollouts=rollouts,
            probe=probe,
            prior=prior,
            policy=policy,
            scorer=scorer,
            limit=limit,
            progress=progress,
        )
    if json:
        console.emit_json(
            {
                "path": difficulty.path,
                "questions": difficulty.table.height,
                "success_rate": difficulty.success_rate,
                "left_out": list(difficulty.left_out),
            }
        )
        return
    for name in difficulty.left_out:
        console.complain(f"{name}: too few patients for a probe, left out")
    rate = difficulty.success_rate
    shown = "-" if rate is None else f"{rate:.3f}"
    console.say(f"{difficulty.table.height:,} questions, success rate {shown}: {difficulty.path}")
