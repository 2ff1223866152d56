"""Records of one split that ask the same of the same: images or signals that are equal, or alike.

Two questions about one image are no duplicates, nor are copies of an image of which different
things are asked. Of those that are, the first in manifest order that nothing else drops represents
its group. What is uniform is like nothing.
"""

from __future__ import annotations

import polars as pl

from qoqdata.curation.sameness import Sameness

DUPLICATES = {
    "id": pl.String,
    "source": pl.String,
    "split": pl.String,
    "task": pl.String,
    "kept": pl.String,
    "kept_source": pl.String,
    "copy": pl.String,
    "way": pl.String,
    "contradicts": pl.Boolean,
}
#: What is asked; the answer may differ, and then one of the two is wrong.
_ASKED = ["split", "task", "item"]


def find_duplicates(same: Sameness, lost: pl.Series | None = None) -> pl.DataFrame:
    """A row a record that repeats an earlier one of its split; columns of DUPLICATES, in manifest
    order.

    `copy` is "equal" where all it shows has the digests of what `kept` shows, else "alike", and
    `way` is how it lies against it, null where it shows several images or a chain of copies links
    the two; `contradicts` says that their answers differ. Records whose ids are among the `lost`
    represent others only where all of a group are: a study is not lost twice over.
    """
    groups = same.groups()
    shown = same.shared
    shown = shown.with_columns(group=groups[shown["content"].to_numpy()])
    blank = pl.col("bits").is_null().any().over("record")
    shown = shown.filter(~blank)
    signatures = shown.group_by("record").agg(
        equal=pl.col("content").sort(), alike=pl.col("group").sort()
    )
    gone = pl.lit(False) if lost is None else pl.col("id").is_in(lost.implode())
    records = same.records.drop("side").with_columns(gone=gone).join(signatures, on="record")
    records = records.sort("gone", "record")
    equal = _repeats(records, "equal")
    near = _repeats(records, "alike").join(equal, on="id", how="anti", maintain_order="left")
    both = pl.concat([equal, near]).sort("record")
    return _with_ways(both, same).select(
        pl.col(name).cast(kind) for name, kind in DUPLICATES.items()
    )


def _with_ways(repeats: pl.DataFrame, same: Sameness) -> pl.DataFrame:
    """Repeats with how the one image or signal of each lies against that of `kept`."""
    single = same.shared.filter(pl.len().over("record") == 1).select("record", "content")
    kept = single.rename({"record": "first", "content": "other_content"})
    pairs = same.pairs_both_ways().select("content", "other_content", "way")
    ways = (
        repeats.select("record", "first")
        .join(single, on="record", how="left", maintain_order="left")
        .join(kept, on="first", how="left", maintain_order="left")
        .join(pairs, on=["content", "other_content"], how="left", maintain_order="left")
    )
    return repeats.with_columns(ways["way"])


def _repeats(records: pl.DataFrame, signature: str) -> pl.DataFrame:
    """The records whose signature and question an earlier one has, beside the first of those."""
    # By numbers, and facts only of what repeats.
    asked = [*_ASKED, signature]
    repeats = records.select("record", first=pl.col("record").first().over(asked)).filter(
        pl.col("record") != pl.col("first")
    )
    facts = records.select("record", "id", "source", "split", "task", "study", "answer")
    kept = records.select(
        first="record", kept="id", kept_source="source", kept_study="study", kept_answer="answer"
    )
    return (
        repeats.join(facts, on="record", maintain_order="left")
        .join(kept, on="first", maintain_order="left")
        .filter(pl.col("study") != pl.col("kept_study"))
        .with_columns(copy=pl.lit(signature), contradicts=pl.col("answer") != pl.col("kept_answer"))
        .select("record", "first", *(name for name in DUPLICATES if name != "way"))
    )
