"""qoqdata difficulty: how well a policy answers each question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from qoqdata import console
from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError

EPILOG = """Example:  qoqdata difficulty ./set --prior

From rollouts:  qoqdata difficulty ./set --from rollouts.parquet --policy qwen2.5-vl-7b"""


def add(app: typer.Typer) -> None:
    app.command("difficulty", epilog=EPILOG)(difficulty_command)


def difficulty_command(
    dataset: Annotated[Path, typer.Argument(help="The data set's folder.")],
    rollouts: Annotated[
        Path | None, typer.Option("--from", help="Rollouts: Parquet file or folder, or JSONL.")
    ] = None,
    prior: Annotated[bool, typer.Option("--prior", help="From label entropy; no policy.")] = False,
    policy: Annotated[str | None, typer.Option(help="Name of the rolled-out policy.")] = None,
    scorer: Annotated[str, typer.Option(help="How its rewards were given.")] = "unstated",
) -> None:
    """Write how well a policy answers each question.

    The table is difficulty/<policy>.parquet; `qoqdata stats` then uses it.
    """
    from qoqdata.dataset import open_dataset
    from qoqdata.stats import difficulty

    if prior == (rollouts is not None):
        raise UsageError("say either --prior or --from ROLLOUTS")
    opened = open_dataset(dataset)
    if prior:
        table, path = make_prior(opened)
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
        path = difficulty.write(opened.layout, table)
    mean = table.select(pl.col("mean").mean()).item()
    shown = "-" if mean is None else f"{mean:.3f}"
    console.say(f"{table.height:,} questions, mean reward {shown}: {path}")


def make_prior(dataset: Dataset) -> tuple[pl.DataFrame, Path]:
    """Write the label-entropy prior of the kept training records."""
    from qoqdata.stats import difficulty
    from qoqdata.stats.prior import prior_difficulty

    train = dataset.kept().filter(pl.col("split") == "train")
    table = prior_difficulty(train, dataset.task_kinds)
    return table, difficulty.write(dataset.layout, table)
