r"""How an answer is to be written: told in prompts, taught by exports, read by rewards.

A response reasons between <think> and </think>, marks regions as JSON where it is asked to, and
ends with the final answer in \boxed{}. `qoqtrain.rewards.final_answer` reads it, `docs/training.md`
describes it, and nothing else writes the words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qoqdata.boxes import BoxFrame
from qoqdata.question import UNITS
from qoqdata.units import unit_name

THINK = "First reason step by step between <think> and </think>."
_FINAL = "End with the final answer in \\boxed{}."

#: What to say of responses that have none.
IN_SHORT = "<think>reasoning</think> and then \\boxed{the answer}"


def instruction(record: Mapping[str, Any], *, marked: int = 0, frame: BoxFrame = "pixels") -> str:
    """How to answer: reasoning, regions of `marked` images in `frame` unless it is 0, the boxed
    answer."""
    return " ".join([THINK, *([_marking(marked, frame)] if marked else []), final(record)])


def _marking(images: int, frame: BoxFrame) -> str:
    image = '"image": number of the image counted from 0, ' if images > 1 else ""
    return (
        "Then mark the regions that your answer rests on as a JSON list in a ```json block, "
        f'one object a region: {{{image}"bbox_2d": [x1, y1, x2, y2], "label": what it shows}}. '
        f"Corners are {UNITS[frame]}. An empty list says that there is nothing to mark."
    )


def objects(regions: Iterable[tuple[str, int, Sequence[int]]], *, images: int) -> str:
    """Regions (label, image, whole corners) as the JSON list that `instruction` asks for."""
    found = [
        {**({"image": image} if images > 1 else {}), "bbox_2d": list(corners), "label": label}
        for label, image, corners in regions
    ]
    return json.dumps(found, ensure_ascii=False)


def final(record: Mapping[str, Any]) -> str:
    """Where the final answer belongs, and what it is to look like by the kind of the question."""
    return " ".join(filter(None, [_FINAL, _form(record)]))


def _form(record: Mapping[str, Any]) -> str | None:
    number = record.get("number")
    if record.get("options"):
        # Options of a choice may hold commas themselves.
        if record.get("kind") in ("single", "choice", "number"):
            return "The answer is one of the options, word for word."
        return "Where several options apply, separate them by commas."
    if number is None:
        return None
    unit = unit_name(number["unit"])
    if not unit or re.search(rf"(?<!\w){re.escape(unit)}(?!\w)", record["question"]):
        return "The answer is a number."
    return f"The answer is a number; its unit is {unit}."


def response(record: Mapping[str, Any], boxes: str | None = None) -> str:
    """What a right response to a record is: its reasoning where it has one, `boxes` as JSON, and
    the boxed answer. Nothing is made up: a record without reasoning teaches none."""
    reasoning = record.get("reasoning")
    lines = [f"<think>{reasoning}</think>" if reasoning else None]
    lines.append(None if boxes is None else f"```json\n{boxes}\n```")
    return "\n".join([*filter(None, lines), f"\\boxed{{{record['answer']}}}"])
