"""Reasoning traces: what a policy wrote on the way to right answers, as a column of a new version
of the set."""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa

from qoqdata.atomic import file_digest
from qoqdata.contract.manifest import Manifest, Shard
from qoqdata.curation.phi.rules import find
from qoqdata.dataset import Dataset
from qoqdata.errors import BadTable, UsageError
from qoqdata.layout import Layout
from qoqdata.manifest import shards_digest, write_manifest
from qoqdata.metadata import write_metadata
from qoqdata.pipeline.shards import rewrite_shard
from qoqdata.progress import ProgressCallback, silent
from qoqdata.statistics.rollouts import read_rollouts, reading

_TYPES = {
    "id": pl.String,
    "response": pl.String,
    "reward": pl.Float64,
    "overall": pl.Float64,
    "step": pl.Int64,
    "rollout": pl.Int64,
    "policy": pl.String,
    "truncated": pl.Boolean,
}
_NEEDED = ("id", "response", "reward")

#: Text of a trace and the policy that wrote it, by record id.
Traces = dict[str, tuple[str, str]]

_THOUGHT = re.compile(r"<think>(.*?)</think>", re.IGNORECASE | re.DOTALL)

#: What belongs to the records as a whole and stays right when a trace is added.
_BESIDE = ("cards", "quarantine", "curation", "stats", "difficulty")


def read_traces(path: Path) -> pl.DataFrame:
    """Rollouts from Parquet, JSON lines, or a folder of Parquet files as training writes it.

    Needed are `id`, `response` and `reward`; `overall`, `step`, `rollout`, `policy` and
    `truncated` are used where they are there. Raises BadTable.
    """
    table = read_rollouts(path)
    for name in _NEEDED:
        if name not in table.columns:
            fix = "traces need id, response and reward"
            raise BadTable(f"lacks the column {name!r}", where=str(path), fix=fix)
    defaults = {"overall": pl.col("reward"), "truncated": pl.lit(False)}
    with reading(path):
        return table.select(
            (pl.col(n) if n in table.columns else defaults.get(n, pl.lit(None))).cast(kind).alias(n)
            for n, kind in _TYPES.items()
        )


def best_traces(table: pl.DataFrame, *, least: float = 1.0) -> pl.DataFrame:
    """One trace a question: id, reasoning, policy, reward.

    Of the rollouts that ended by themselves, thought aloud and got at least `least`, the one of
    the highest overall reward; among equals the latest step, then the shortest text. Questions
    without such a rollout have no trace.
    """
    thought = table.filter(
        pl.col("reward") >= least, ~pl.col("truncated").fill_null(False)
    ).with_columns(reasoning=pl.col("response").map_elements(thinking, return_dtype=pl.String))
    order = [
        pl.col("overall").fill_nan(None),
        pl.col("step"),
        -pl.col("reasoning").str.len_chars().cast(pl.Int64),
        -pl.col("rollout"),
    ]
    return (
        thought.drop_nulls("reasoning")
        .sort(
            "id",
            *order,
            "reasoning",
            descending=[False, True, True, True, True, False],
            nulls_last=True,
        )
        .unique("id", keep="first", maintain_order=True)
        .select("id", "reasoning", "policy", "reward")
    )


#: Why a rollout of enough reward becomes no trace.
NOT_TRAINED_ON, PERSONAL = "not a record that is trained on", "text of a person"


def admitted(
    table: pl.DataFrame, dataset: Dataset, *, least: float = 1.0
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rollouts that may become traces, and how many of those with enough reward may not, by
    reason.

    Leakage: only kept train records of sources that are trained on have traces, since a right
    answer to another split's question is its answer. Privacy: what was thought is searched by the
    rules for protected health information (`curation.phi`); whatever they find keeps the rollout
    out. `qoqdata curate` searches the new set again, with the site's recipe.
    """
    trained_on = dataset.for_training().filter(pl.col("split") == "train")["id"]
    enough = pl.col("reward") >= least
    foreign = ~pl.col("id").is_in(trained_on.to_list())
    thoughts = table.filter(enough, ~foreign)["response"].unique().to_list()
    personal = [text for text in thoughts if (thought := thinking(text)) and find(thought)]
    reason = (
        pl.when(~enough)
        .then(None)
        .when(foreign)
        .then(pl.lit(NOT_TRAINED_ON))
        .when(pl.col("response").is_in(personal))
        .then(pl.lit(PERSONAL))
    )
    judged = table.with_columns(left_out=reason)
    counts = judged.drop_nulls("left_out").group_by("left_out").len().sort("left_out")
    return judged.filter(pl.col("left_out").is_null()).drop("left_out"), dict(counts.iter_rows())


def thinking(response: str) -> str | None:
    """The text of the only closed <think></think>; None when there is none or it is empty."""
    thoughts = _THOUGHT.findall(response)
    if len(thoughts) != 1 or "<think>" in thoughts[0].lower():
        return None
    return str(thoughts[0]).strip() or None


def write_traced_set(
    dataset: Dataset,
    traces: pl.DataFrame,
    out: Path,
    *,
    policy: str | None,
    progress: ProgressCallback = silent,
) -> Manifest:
    """Write the data set with `traces` (id, reasoning, policy) to a new folder.

    Records without a trace keep what they had. `policy` names the writer of traces that do not
    say. `progress` hears of shards. Raises DatasetError for ids that the set does not hold,
    UsageError for a folder in use and a trace without a policy.
    """
    if out.exists() and any(out.iterdir()):
        raise UsageError("is not empty", where=str(out), fix="name a new folder")
    traces = traces.with_columns(pl.coalesce("policy", pl.lit(policy, pl.String)))
    if traces["policy"].null_count():
        raise UsageError("the rollouts do not say which policy wrote them", fix="--policy NAME")
    dataset.refuse_unknown(traces["id"], of="rollout")
    columns = ("id", "reasoning", "policy")
    by_id = {id_: (text, who) for id_, text, who in traces.select(columns).iter_rows()}
    ids = pl.DataFrame(dataset.files.leaves(["id"]))
    changed = set(ids.join(traces, on="id", how="semi")["shard"])
    written: list[Shard] = []
    for number, shard in enumerate(dataset.manifest.shards):
        written.append(_shard(dataset, shard, out, by_id if number in changed else {}))
        progress(len(written), len(dataset.manifest.shards))
    shards = tuple(written)
    beside = dataset.files.layout(*_BESIDE).root
    for name in _BESIDE:
        if (beside / name).is_dir():
            # Files that came from a store have a note of their version beside them.
            shutil.copytree(beside / name, out / name, ignore=shutil.ignore_patterns(".*.tag"))
    manifest = dataset.manifest.model_copy(
        update={
            "shards": shards,
            "meta": write_metadata(out, shards),
            "digest": shards_digest(shards),
        }
    )
    write_manifest(Layout(out), manifest)
    return manifest


def _shard(dataset: Dataset, shard: Shard, out: Path, traces: Traces) -> Shard:
    target = out / shard.path
    with dataset.files.holding(shard, verify=True) as source:
        if not traces:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            return shard.model_copy(update={"sha256": file_digest(target)})
        rewritten = rewrite_shard(source, target, shard, partial(_with_traces, traces=traces))
    assert rewritten is not None
    return rewritten


def _with_traces(table: pa.Table, *, traces: Traces) -> pa.Table:
    ids = table["id"].to_pylist()
    for column, part in (("reasoning", 0), ("reasoning_policy", 1)):
        index = table.schema.get_field_index(column)
        before = table[column].to_pylist()
        values = [
            traces[id_][part] if id_ in traces else old
            for id_, old in zip(ids, before, strict=True)
        ]
        table = table.set_column(index, table.schema.field(index), pa.array(values, pa.string()))
    return table
