"""Rewards of exported rows: what TRL and verl call with the responses to them.

Both score as `qoqtrain.rewards.score` does, by default the answer alone: an export asks for no
boxes, so a response is not held against regions, and not paid for lists of them.

TRL:   GRPOTrainer(..., reward_funcs=[reward]), on rows of `qoqdata export --to trl`
verl:  reward.custom_reward_function.path=THIS FILE, in which `compute_score` is the function, on
       rows of `qoqdata export --to verl`; this file needs no verl
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qoqdata.errors import UsageError
from qoqtrain.rewards import Truth, score, truth_of_record

#: What counts where nothing is said: the answer.
PRESET = "accuracy"
#: Columns of an exported row of which a truth is made.
COLUMNS = ("id", "question", "kind", "answer", "options", "number")


def reward(completions: Sequence[Any], preset: str = PRESET, **columns: Any) -> list[float | None]:
    """The reward of each completion, 0 to 1, as a reward function of TRL.

    `completions` are texts or conversations (the last turn counts), `columns` those of the rows,
    one value for each completion. None where the truth is missing. Raises UsageError where a
    column is missing.
    """
    if missing := [name for name in COLUMNS if name not in columns]:
        raise _no_column(missing[0], "train_dataset", "trl")
    texts = [text if isinstance(text, str) else str(text[-1]["content"]) for text in completions]
    rows = [dict(zip(COLUMNS, values, strict=True)) for values in
            zip(*(columns[name] for name in COLUMNS), strict=True)]  # fmt: skip
    return [one["overall"] for one in score(texts, _truths(rows), preset)]


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    preset: str = PRESET,
    **_: Any,
) -> dict[str, float]:
    """The reward of one response as verl takes it: `score`, and `acc`, its answer part.

    `preset` may come from verl's `reward_kwargs`; what else verl hands over is not looked at.
    Raises UsageError for a row that lacks what the export writes, or whose truth is missing: verl
    has no place for a response without a reward.
    """
    facts = dict(extra_info or {})
    row = facts | {"id": facts.get("index"), "answer": ground_truth}
    if missing := [name for name in COLUMNS if name not in row]:
        raise _no_column(f"extra_info.{missing[0]}", f"data_source {data_source}", "verl")
    (one,) = score([solution_str], [_truth(row)], preset)
    if one["overall"] is None or one["answer"] is None:
        raise UsageError("has no answer to score against", where=f"record {row['id']}")
    return {"score": float(one["overall"]), "acc": float(one["answer"])}


def _truths(rows: Sequence[Mapping[str, Any]]) -> list[Truth]:
    """One object a question: `score` reads the truth of its rollouts once."""
    by_id = {row["id"]: row for row in rows}
    truths = {name: _truth(row) for name, row in by_id.items()}
    return [truths[row["id"]] for row in rows]


def _truth(row: Mapping[str, Any]) -> Truth:
    options, number = row["options"], row["number"]
    return truth_of_record(
        {
            **{name: row[name] for name in COLUMNS},
            # Readers give arrays for lists, and a struct of nulls for none.
            "options": None if options is None else [str(option) for option in options],
            "number": None if number is None or number["value"] is None else number,
            "regions": None,
        }
    )


def _no_column(name: str, where: str, format_: str) -> UsageError:
    fix = f"write the data anew: qoqdata export SET --to {format_} --out NEW"
    return UsageError(f"a row has no {name}", where=where, fix=fix)
