"""A new version of a data set with another `reasoning` column."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata import manifest as manifests
from qoqdata.atomic import file_digest
from qoqdata.contract.manifest import Manifest, Shard
from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from qoqdata.layout import Layout
from qoqdata.manifest import shards_digest
from qoqdata.pipeline.shards import rewrite_shard

#: What belongs to the records as a whole and stays right when a trace is added.
_BESIDE = ("cards", "quarantine", "curation", "stats", "difficulty")


def write_traced_set(
    dataset: Dataset, traces: pl.DataFrame, out: Path, *, policy: str | None
) -> Manifest:
    """Write the data set with `traces` (id, reasoning, policy) to a new folder.

    Records without a trace keep what they had. `policy` names the writer of traces that do not
    say. Raises DatasetError for ids that the set does not hold, UsageError for a folder in use
    and a trace without a policy.
    """
    if out.exists() and any(out.iterdir()):
        raise UsageError("is not empty", where=str(out), fix="name a new folder")
    traces = traces.with_columns(pl.coalesce("policy", pl.lit(policy, pl.String)))
    if traces["policy"].null_count():
        raise UsageError("the rollouts do not say which policy wrote them", fix="--policy NAME")
    dataset.refuse_unknown(traces["id"], of="rollout")
    said = {
        id_: (text, who) for id_, text, who in traces.select("id", "reasoning", "policy").rows()
    }
    shards = tuple(_shard(dataset, shard, out, said) for shard in dataset.manifest.shards)
    beside = dataset.files.layout(*_BESIDE).root
    for name in _BESIDE:
        if (beside / name).is_dir():
            # Files that came from a store have a note of their version beside them.
            shutil.copytree(beside / name, out / name, ignore=shutil.ignore_patterns(".*.tag"))
    manifest = dataset.manifest.model_copy(
        update={"shards": shards, "digest": shards_digest(shards)}
    )
    manifests.write_manifest(Layout(out), manifest)
    return manifest


def _shard(dataset: Dataset, shard: Shard, out: Path, said: dict[str, tuple[str, str]]) -> Shard:
    target = out / shard.path
    with dataset.files.holding(shard) as source:
        ids = pq.read_table(source, columns=["id"])["id"].to_pylist()
        if not said.keys() & set(ids):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            return shard.model_copy(update={"sha256": file_digest(target)})
        made = rewrite_shard(source, target, shard, partial(_with_traces, said=said))
    assert made is not None
    return made


def _with_traces(table: pa.Table, *, said: dict[str, tuple[str, str]]) -> pa.Table:
    ids = table["id"].to_pylist()
    for column, part in (("reasoning", 0), ("reasoning_policy", 1)):
        index = table.schema.get_field_index(column)
        before = table[column].to_pylist()
        values = [
            said[id_][part] if id_ in said else old for id_, old in zip(ids, before, strict=True)
        ]
        table = table.set_column(index, table.schema.field(index), pa.array(values, pa.string()))
    return table
