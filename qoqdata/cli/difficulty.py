"""qoqdata difficulty: how well a policy answers each question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from qoqdata import console
from qoqdata.errors import UsageError
from qoqdata.statistics.probe import LIMIT

EPILOG = """Example:  qoqdata difficulty ./set --probe

From rollouts:  qoqdata difficulty ./set --from rollouts.parquet --policy qwen2.5-vl-7b"""


def add(app: typer.Typer) -> None:
    app.command("difficulty", epilog=EPILOG)(difficulty_command)


def difficulty_command(
    dataset: Annotated[Path, typer.Argument(help="The data set's folder.")],
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
) -> None:
    """Write how well a policy answers each question.

    The table is difficulty/<policy>.parquet; `qoqdata stats` then uses it. The probe is a ridge
    regression on features that nobody trained, fitted to other patients than those it answers for.
    """
    from qoqdata.cli.progress import counter
    from qoqdata.dataset import open_dataset
    from qoqdata.statistics import difficulty
    from qoqdata.statistics.prior import write_prior
    from qoqdata.statistics.probe.table import write_probe

    if prior + probe + (rollouts is not None) != 1:
        raise UsageError("say one of --from ROLLOUTS, --probe and --prior")
    opened = open_dataset(dataset)
    if prior:
        table, path = write_prior(opened)
    elif probe:
        with counter("questions") as progress:
            table, path, left_out = write_probe(opened, limit=limit, progress=progress)
        for name in left_out:
            console.complain(f"{name}: too few patients for a probe, left out")
    else:
        assert rollouts is not None
        if (
            policy is None
            or not policy.replace("-", "").replace(".", "").replace("_", "").isalnum()
        ):
            fix = "letters, digits, dash, dot and underscore"
            raise UsageError("--from needs the policy's name", where="--policy", fix=fix)
        table = difficulty.from_rollouts(rollouts, policy=policy, scorer=scorer)
        opened.refuse_unknown(table["id"], of="rollout")
        path = difficulty.write_difficulty(opened.layout, table)
    rate = table.select(pl.col("success_rate").mean()).item()
    text = "-" if rate is None else f"{rate:.3f}"
    console.say(f"{table.height:,} questions, success rate {text}: {path}")
