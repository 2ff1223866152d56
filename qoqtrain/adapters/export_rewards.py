"""Rewards of exported rows: what TRL and verl call with the responses to them.

Both score as `qoqtrain.rewards.score` does, by default the answer alone: where an export asks for
no boxes, a response is not held against regions, and not paid for lists of them. Where boxes are
the question they count, in thousandths of the image's sides: a right answer without any earns two
thirds.

TRL:   GRPOTrainer(..., reward_funcs=[reward]), on rows of `qoqdata export --to trl`
verl:  reward.custom_reward_function.path=THIS FILE, in which `compute_score` is the function, on
       rows of `qoqdata export --to verl`; this file needs no verl
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from qoqdata.errors import UsageError
from qoqtrain.rewards import Truth, score, truth_of_record

#: What counts where nothing is said: the answer.
PRESET = "accuracy"
#: How PRESET weighs the answer and the boxes where these are asked for: as training does.
BOXES: Mapping[str, Any] = {"weights": (2.0, 1.0, 0.0, 0.0), "gate": True}
#: Columns of an exported row of which a truth is made, and those that it also takes of boxes.
COLUMNS = ("id", "question", "kind", "answer", "options", "number")
BOX_COLUMNS = ("regions", "image_sizes")


def reward(completions: Sequence[Any], preset: str = PRESET, **columns: Any) -> list[float | None]:
    """The reward of each completion, 0 to 1, as a reward function of TRL.

    `completions` are texts or conversations (the last turn counts), `columns` those of the rows,
    one value for each completion. None where the truth is missing. Raises UsageError where a
    column is missing.
    """
    wanted = (*COLUMNS, *BOX_COLUMNS) if "boxes" in columns.get("kind", ()) else COLUMNS
    if missing := [name for name in wanted if name not in columns]:
        raise _no_column(missing[0], "train_dataset", "trl")
    texts = [text if isinstance(text, str) else str(text[-1]["content"]) for text in completions]
    rows = [dict(zip(wanted, values, strict=True)) for values in
            zip(*(columns[name] for name in wanted), strict=True)]  # fmt: skip
    return [one["overall"] for one in _scores(texts, rows, preset)]


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
    wanted = (*COLUMNS, *BOX_COLUMNS) if row.get("kind") == "boxes" else COLUMNS
    if missing := [name for name in wanted if name not in row]:
        raise _no_column(f"extra_info.{missing[0]}", f"data_source {data_source}", "verl")
    (one,) = _scores([solution_str], [row], preset)
    if one["overall"] is None or one["answer"] is None:
        raise UsageError("has no answer to score against", where=f"record {row['id']}")
    return {"score": float(one["overall"]), "acc": float(one["answer"])}


def _scores(
    texts: Sequence[str], rows: Sequence[Mapping[str, Any]], preset: str
) -> list[dict[str, Any]]:
    """The scores of responses to rows, in their order."""
    # One object a question: `score` reads the truth of its rollouts once.
    by_id = {row["id"]: row for row in rows}
    truths = {name: _truth(row) for name, row in by_id.items()}
    scores: list[dict[str, Any]] = [{}] * len(rows)
    for of_boxes in (False, True):
        places = [at for at, row in enumerate(rows) if (row["kind"] == "boxes") == of_boxes]
        changes = BOXES if of_boxes and preset == PRESET else {}
        own = [truths[rows[at]["id"]] for at in places]
        found = score([texts[at] for at in places], own, preset, **changes)
        for at, one in zip(places, found, strict=True):
            scores[at] = one
    return scores


def _truth(row: Mapping[str, Any]) -> Truth:
    options, number = row["options"], row["number"]
    record = {
        **{name: row[name] for name in COLUMNS},
        # Readers give arrays for lists, and a struct of nulls for none.
        "options": None if options is None else [str(option) for option in options],
        "number": None if number is None or number["value"] is None else number,
        "regions": None,
    }
    if row["kind"] != "boxes" or not len(row["image_sizes"]):
        return truth_of_record(record)
    sizes = [{"width": int(width), "height": int(height)} for width, height in row["image_sizes"]]
    record |= {"regions": json.loads(row["regions"]), "image_info": sizes}
    return truth_of_record(record, frame="thousandths")


def _no_column(name: str, where: str, format_: str) -> UsageError:
    fix = f"write the data anew: qoqdata export SET --to {format_} --out NEW"
    return UsageError(f"a row has no {name}", where=where, fix=fix)
