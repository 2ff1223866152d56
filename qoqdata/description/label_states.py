"""How often each label is asserted, doubted, denied or not mentioned."""

from __future__ import annotations

import polars as pl

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.statistics.counts import label_table, option_lists

_TASK = ["source", "domain", "task"]
#: What a question says of a label.
STATES = ("asserted", "uncertain", "absent", "unmentioned")
#: Labels of a task that a summary names.
NAMED = 3


def label_states(records: pl.DataFrame) -> pl.DataFrame:
    """A row a label of each task, the commonest of a task first: source, domain, task, label; the
    questions that assert it by split; `questions` of the task, and how many are in each of STATES,
    which sum to `questions`.

    `records` are those of `Dataset.kept`, of all splits. Labels are the options of the task, never
    asserted ones too, and what else is named.
    """
    unrated = records.with_columns(success_rate=pl.lit(None, pl.Float64))
    totals = records.group_by(_TASK).agg(questions=pl.len().cast(pl.Int64))
    by_split = {f"n_{split}": split for split in SPLITS}
    return (
        label_table(unrated, option_lists(records))
        .rename({**by_split, "n_uncertain": "uncertain", "n_absent": "absent"})
        .join(totals, on=_TASK)
        .with_columns(asserted=pl.sum_horizontal(SPLITS))
        .with_columns(
            unmentioned=pl.col("questions") - pl.sum_horizontal("asserted", "uncertain", "absent")
        )
        .select(*_TASK, "label", *SPLITS, "questions", *STATES)
        .sort(*_TASK, "asserted", "label", descending=[False, False, False, True, False])
    )


def label_summary(states: pl.DataFrame) -> pl.DataFrame:
    """A row a task of `label_states`: source, task, `questions`, the number of `labels`, those that
    most and least questions assert (`commonest`, `rarest`: label and count), and how many no
    question asserts (`never`)."""
    seen = pl.col("asserted") > 0
    named = pl.format("{} ({})", "label", "asserted")
    return (
        states.group_by("source", "task", maintain_order=True)
        .agg(
            questions=pl.col("questions").first(),
            labels=pl.len().cast(pl.Int64),
            commonest=named.filter(seen).head(NAMED).str.join(", "),
            rarest=named.filter(seen).last(),
            never=(~seen).sum().cast(pl.Int64),
        )
        .sort("source", "task")
    )
