"""qoqdata difficulty: how well a policy answers each question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from qoqdata import console
from qoqdata.dataset import Dataset
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
    from qoqdata.dataset import open_dataset
    from qoqdata.statistics import difficulty

    if prior + probe + (rollouts is not None) != 1:
        raise UsageError("say one of --from ROLLOUTS, --probe and --prior")
    opened = open_dataset(dataset)
    if prior:
        table, path = make_prior(opened)
    elif probe:
        table, path = _make_probe(opened, limit)
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
    mean = table.select(pl.col("mean").mean()).item()
    shown = "-" if mean is None else f"{mean:.3f}"
    console.say(f"{table.height:,} questions, mean reward {shown}: {path}")


def make_prior(dataset: Dataset) -> tuple[pl.DataFrame, Path]:
    """Write the label-entropy prior of the kept training records."""
    from qoqdata.statistics import difficulty
    from qoqdata.statistics.prior import prior_difficulty

    train = dataset.kept().filter(pl.col("split") == "train")
    table = prior_difficulty(train, dataset.task_kinds)
    return table, difficulty.write_difficulty(dataset.layout, table)


def _make_probe(dataset: Dataset, limit: int) -> tuple[pl.DataFrame, Path]:
    from qoqdata.cli.progress import counter
    from qoqdata.statistics import difficulty
    from qoqdata.statistics.probe.table import probe_difficulty

    with counter("questions") as told:
        table, left_out = probe_difficulty(dataset, limit=limit, told=told)
    for name in left_out:
        console.complain(f"{name}: too few patients for a probe, left out")
    if not table.height:
        fix = "use --prior, or build more patients"
        raise UsageError("no question can be probed", where=str(dataset.root), fix=fix)
    return table, difficulty.write_difficulty(dataset.layout, table)
