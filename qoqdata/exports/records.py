"""Kept records as they are, in the record schema: a copy for clients that know no verdicts."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.dataset import Dataset
from qoqdata.exports.rows import Change, Tally, unchanged
from qoqdata.pipeline.shards import rewrite_shard
from qoqdata.roles import evaluation_sources


def write_records(dataset: Dataset, out: Path, change: Change = unchanged) -> Tally:
    """`data/<split>-<number>.parquet`, in which plain clients find the splits by name."""
    tally = Tally()
    ids = pa.array(dataset.for_training(["id"])["id"].to_list(), pa.string())
    keep = partial(_kept, ids=ids, change=change)
    benchmarks = evaluation_sources(dataset.manifest)
    for split in SPLITS:
        own = [
            shard
            for shard in dataset.manifest.shards
            if shard.split == split and shard.source not in benchmarks
        ]
        number = 0
        for shard in own:
            with dataset.files.holding(shard, verify=True) as path:
                target = out / "data" / f"{split}-{number:05d}.parquet"
                target.parent.mkdir(parents=True, exist_ok=True)
                written = rewrite_shard(path, target, shard, keep)
            if written is not None:
                number += 1
                for _ in range(written.rows):
                    tally.wrote(split)
    return tally


def _kept(table: pa.Table, *, ids: pa.Array, change: Change) -> pa.Table:
    kept = table.filter(pc.is_in(table["id"], value_set=ids))
    if change is unchanged:
        return kept
    return pa.Table.from_pylist([dict(change(row)) for row in kept.to_pylist()], kept.schema)
