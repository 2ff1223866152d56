"""Questions whose answer stands in what is shown as text, and answers that no option is."""

from __future__ import annotations

import polars as pl

from qoqdata.contract.vocabulary import ANSWER_JOIN

#: A row a record and fault: "answer_in_context", "answer_in_question", "answer_not_an_option".
GIVEAWAYS = {
    "id": pl.String,
    "source": pl.String,
    "task": pl.String,
    "split": pl.String,
    "fault": pl.String,
}
#: Words shorter than that, and those that every text has, tell nothing where they stand.
_SHORT = 4


def find_giveaways(kept: pl.DataFrame) -> pl.DataFrame:
    """Columns of GIVEAWAYS; `kept` has id, source, task, kind, split, context, question, options,
    answer.

    The answer, or one of several, stands in a text as a word of its own while no other option does.
    A text that lists the options tells nothing by it.
    """
    closed = kept.filter(pl.col("options").is_not_null())
    answers = (
        pl.when(pl.col("kind") == "multi")
        .then(pl.col("answer").str.split(ANSWER_JOIN))
        .otherwise(pl.concat_list("answer"))
    )
    asked = closed.select(
        *("id", "source", "task", "split", "context", "question", "options"), answers=answers
    )
    wrong = asked.filter(pl.col("answers").list.set_difference("options").list.len() > 0)
    parts = [wrong.with_columns(fault=pl.lit("answer_not_an_option"))]
    # One pass a distinct list of options: a task has one or few.
    for (_,), same in asked.group_by(["options"], maintain_order=True):
        options = same["options"][0].to_list()
        for column in ("context", "question"):
            told = _told(same, column, options)
            parts.append(told.with_columns(fault=pl.lit(f"answer_in_{column}")))
    return (
        pl.concat(parts)
        .select(pl.col(name).cast(kind) for name, kind in GIVEAWAYS.items())
        .sort("source", "task", "split", "id", "fault")
    )


def _told(asked: pl.DataFrame, column: str, options: list[str]) -> pl.DataFrame:
    """The questions of which `column` has right options only, and at least one."""
    text = pl.col(column).fill_null("").str.to_lowercase()
    right, wrong = pl.lit(False), pl.lit(False)
    for option in options:
        if len(option) < _SHORT:
            continue
        stands = text.str.contains(rf"(?:^|\W){_literal(option.lower())}(?:\W|$)")
        is_right = pl.col("answers").list.contains(option)
        right, wrong = right | (stands & is_right), wrong | (stands & ~is_right)
    return asked.filter(right & ~wrong)


def _literal(text: str) -> str:
    """Text as a regular expression that matches it alone."""
    return "".join(c if c.isalnum() or c == " " else f"\\x{{{ord(c):x}}}" for c in text)
