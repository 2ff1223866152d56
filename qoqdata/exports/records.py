"""Kept records as they are, in the record schema: a copy for clients that know no verdicts."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.dataset import Dataset
from qoqdata.exports.rows import Change, Tally, exported_shards, unchanged
from qoqdata.pipeline.shards import rewrite_shard
from qoqdata.progress import ProgressCallback, silent


def write_records(
    dataset: Dataset, out: Path, change: Change = unchanged, progress: ProgressCallback = silent
) -> Tally:
    """`data/<split>-<number>.parquet`, in which plain clients find the splits by name."""
    tally = Tally()
    ids = pa.array(dataset.for_training(["id"])["id"].to_list(), pa.string())
    keep = partial(_kept, ids=ids, change=change)
    own = exported_shards(dataset)
    total, seen = sum(shard.rows for shard in own), 0
    for split in SPLITS:
        number = 0
        for shard in (shard for shard in own if shard.split == split):
            with dataset.files.holding(shard, verify=True) as path:
                target = out / "data" / f"{split}-{number:05d}.parquet"
                target.parent.mkdir(parents=True, exist_ok=True)
                written = rewrite_shard(path, target, shard, keep)
            if written is not None:
                number += 1
                for _ in range(written.rows):
                    tally.wrote(split)
            seen += shard.rows
            progress(seen, total)
    return tally


def _kept(table: pa.Table, *, ids: pa.Array, change: Change) -> pa.Table:
    kept = table.filter(pc.is_in(table["id"], value_set=ids))
    if change is unchanged:
        return kept
    return pa.Table.from_pylist([dict(change(row)) for row in kept.to_pylist()], kept.schema)
