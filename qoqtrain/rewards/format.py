"""The format part: is the object list written as asked, and the thinking laid out as asked."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

from qoqtrain.rewards.boxed import Answer
from qoqtrain.rewards.object_list import ObjectList
from qoqtrain.rewards.part import Part, Status

Rule = Literal["graded", "binary"]


def graded(objects: ObjectList) -> float:
    """0 to 1 for the syntax of the object list, the grades of QoQ-Med's published code.

    0.2 a code fence, 0.1 tagged json, 0.2 strict JSON (0.1 repaired), 0.1 a list, and 0.4 times
    the share of items with a label and a box of exactly four numbers. Unlike there, one parser
    serves this part and grounding, so where a fence stands and how its tag is spelled is no matter.
    """
    grade = 0.2 * objects.fenced + 0.1 * objects.tagged + 0.1 * objects.is_list
    if objects.syntax:
        grade += 0.2 if objects.syntax == "strict" else 0.1
    return grade + 0.4 * objects.complete / objects.items if objects.items else grade


def binary(objects: ObjectList, answered: Collection[str], name: Callable[[str], str]) -> float:
    """1 when the list parses and every label of the answer has a box (QoQ-Med, section 3.4).

    `answered` holds the labels of the answer in the form that `name` gives. 0 without an answer.
    """
    boxed = {
        name(mention.label) for mention in objects.mentions if mention.label and mention.corners
    }
    return float(bool(answered) and boxed.issuperset(answered))


def format_part(grade: float, objects: ObjectList, answer: Answer, think_share: float) -> Part:
    """The grade, less `think_share` of it unless the thinking is one filled, closed pair of tags.

    Any think tag that the prompt does not ask for needs think_share 0.
    """
    value = grade * (1 - think_share) if answer.think_fault else grade
    status: Status = "ok"
    if objects.syntax is None or objects.reason:
        status = "unparsable" if objects.reason else "no_boxes"
    reasons = [objects.reason, answer.think_fault if think_share else None]
    return Part(min(value, 1.0), status, "; ".join(filter(None, reasons)) or None)
