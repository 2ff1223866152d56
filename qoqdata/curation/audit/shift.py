"""Tasks whose answers are spread otherwise in another split: the prior that a policy learns in
training is wrong where it is measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from scipy.stats import chi2_contingency

from qoqdata.contract.vocabulary import ANSWER_JOIN

#: A row a source, task and later split, against train. `distance` is the total variation of the
#: shares of labels, 0 alike to 1 disjoint; `p` that of a chi-square test on counts of studies;
#: `most` the label whose share differs most, with both shares.
SHIFTS: dict[str, Any] = {
    "source": pl.String,
    "task": pl.String,
    "split": pl.String,
    "studies": pl.Int64,
    "distance": pl.Float64,
    "p": pl.Float64,
    "most": pl.String,
    "share_train": pl.Float64,
    "share": pl.Float64,
    "unseen": pl.List(pl.String),
}


def prior_shifts(kept: pl.DataFrame) -> pl.DataFrame:
    """How the labels of each task are spread in train and in each later split; columns of SHIFTS.

    `kept` has source, task, kind, split, study, answer and options. Labels are those of questions
    with options, each counted once a study; `unseen` are labels of the split that train never has.
    """
    closed = kept.filter(pl.col("options").is_not_null() & (pl.col("kind") != "choice"))
    several = pl.col("kind") == "multi"
    labels = (
        pl.when(several)
        .then(pl.col("answer").str.split(ANSWER_JOIN))
        .otherwise(pl.concat_list("answer"))
    )
    counts = (
        closed.select("source", "task", "split", "study", label=labels)
        .explode("label")
        .unique()
        .group_by("source", "task", "split", "label")
        .len("studies")
    )
    rows = []
    for (source, task), both in counts.sort("label").group_by(["source", "task"]):
        for split in ("validation", "test"):
            pair = both.filter(pl.col("split").is_in(["train", split]))
            wide = pair.pivot("split", index="label", values="studies").fill_null(0)
            if {"train", split} <= set(wide.columns):
                rows.append((source, task, split, *_compared(wide, split)))
    return pl.DataFrame(rows, schema=SHIFTS, orient="row").sort("source", "task", "split")


def _compared(wide: pl.DataFrame, split: str) -> tuple[object, ...]:
    counts = wide.select("train", split).to_numpy().astype(float)
    shares = counts / counts.sum(axis=0)
    gaps = np.abs(shares[:, 0] - shares[:, 1])
    most = int(gaps.argmax())
    p = float(chi2_contingency(counts).pvalue) if len(counts) > 1 else 1.0
    unseen = wide.filter((pl.col("train") == 0) & (pl.col(split) > 0))["label"].to_list()
    return (
        int(counts[:, 1].sum()),
        float(gaps.sum() / 2),
        p,
        wide["label"][most],
        float(shares[most, 0]),
        float(shares[most, 1]),
        unseen,
    )
