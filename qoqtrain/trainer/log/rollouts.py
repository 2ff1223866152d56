"""Every rollout of a run as Parquet: what `qoqdata difficulty --from` and `qoqdata traces` read.

    RUN/rollouts.parquet/step-00000012-rank-00000.parquet

The folder is one table to polars, DuckDB and Spark. A step that is repeated after a kill writes
its file again, with the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.boxes import Box
from qoqtrain.rewards import PARTS, Truth, claims
from qoqtrain.rollout.protocol import Rollout
from qoqtrain.trainer.step.scoring import success_of

FOLDER = "rollouts.parquet"
#: Boxes of a response that are kept; one that claims more is no answer to look at.
MOST_BOXES = 64

BOX = pa.struct(
    [
        pa.field("image", pa.int32()),
        pa.field("label", pa.string()),
        *(pa.field(name, pa.float32()) for name in Box._fields),
    ]
)

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("domain", pa.string(), nullable=False),
        pa.field("source", pa.string()),
        pa.field("step", pa.int32(), nullable=False),
        pa.field("policy", pa.string(), nullable=False),
        pa.field("rollout", pa.int32(), nullable=False),
        pa.field("response", pa.string(), nullable=False),
        pa.field("n_tokens", pa.int32(), nullable=False),
        pa.field("truncated", pa.bool_(), nullable=False),
        # How well the question was answered: the answer part, or the total where it has none.
        pa.field("reward", pa.float64(), nullable=False),
        pa.field("overall", pa.float64(), nullable=False),
        *(pa.field(part, pa.float64()) for part in PARTS),
        pa.field("prediction", pa.string()),
        # What the response claims, in stored pixels.
        pa.field("boxes", pa.list_(BOX)),
        pa.field("advantage", pa.float64(), nullable=False),
    ]
)


def rollout_table(
    rollouts: Sequence[Rollout],
    records: Sequence[Mapping[str, Any]],
    scores: Sequence[Mapping[str, Any]],
    advantages: Sequence[float],
    truths: Sequence[Truth],
    *,
    step: int,
    policy: str,
) -> pa.Table:
    """One row a rollout; `records` and `truths` are those that the rollouts' `row` counts into."""
    rows = []
    for rollout, score, advantage in zip(rollouts, scores, advantages, strict=True):
        record = records[rollout.row]
        rows.append(
            {
                "id": rollout.question,
                "domain": record["domain"],
                "source": record.get("source"),
                "step": step,
                "policy": policy,
                "rollout": rollout.index,
                "response": rollout.text,
                "n_tokens": len(rollout.tokens),
                "truncated": rollout.truncated,
                "reward": success_of(score),
                "overall": score["overall"],
                **{part: score[part] for part in PARTS},
                "prediction": score["prediction"],
                "boxes": [
                    {"image": one.image, "label": one.label, **one.box._asdict()}
                    for one in claims(rollout.text, truths[rollout.row])[:MOST_BOXES]
                ],
                "advantage": float(advantage),
            }
        )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def empty() -> pl.DataFrame:
    """The table without a row."""
    return pl.DataFrame(SCHEMA.empty_table())


def write_rollouts(out: Path, table: pa.Table, *, step: int, rank: int) -> Path:
    """Write one step's rollouts of one rank, whole or not at all."""
    path = out / FOLDER / f"step-{step:08d}-rank-{rank:05d}.parquet"
    with replacing(path) as draft:
        pq.write_table(table, draft, compression="zstd")
    return path


def forget_after(out: Path, step: int) -> None:
    """Remove the files of steps after `step`: a run that goes on writes them again."""
    for path in (out / FOLDER).glob("step-*.parquet"):
        if int(path.name.split("-")[1]) > step:
            path.unlink()
