"""The final answer of a response: the last \\boxed{} after the thinking.

What policies are told is `qoqdata.answer_format`; this reads what they write.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from qoqtrain.rewards.scheme import Status

#: Longer answers are refused: a label list has hundreds of characters, an open answer thousands.
MAX_ANSWER = 16_384

_TAG = re.compile(r"<(/?)think>", re.IGNORECASE)
# \\fbox is what policies write in its place. One pass over boxes and braces finds all of them.
_TOKEN = re.compile(r"\\(?:boxed|fbox)\s{0,4}\{|[{}]")
#: Between boxes that are one answer: "\boxed{A} and \boxed{B}", one box a line.
_JOINT = re.compile(r"[\s$*.,;&\\]*(?:(?:and|or)\b[\s$*\\]*)?")
_OR = re.compile(r"\bor\b|/")


class Answer(NamedTuple):
    """What a response answers, and how its thinking is laid out.

    text         content of the box, stripped; None when there is none to be read
    status       "ok", "no_answer" or "unparsable"; `reason` says why
    start        index of the box in the response, where `text` is not None
    think_fault  why the thinking is not one closed, filled <think></think> before the answer
    """

    text: str | None
    status: Status
    reason: str | None
    start: int
    think_fault: str | None


def final_answer(response: str) -> Answer:
    """The last \\boxed{} behind the last </think>, with balanced braces inside.

    The prompt asks for the thinking in <think></think> and the answer in \\boxed{} (QoQ-Med,
    template "medical_format"). A box inside or before the thinking is a draft. A response without
    tags is searched whole; an opening tag may stand in the prompt. If the last box stays open the
    response was cut off, and earlier boxes are not taken in its stead. Boxes with nothing but
    "and", "or" or punctuation between them are one answer, so that two diagnoses in two boxes are
    no better than in one; of boxes in a box the innermost counts. Linear time.
    """
    tags = list(_TAG.finditer(response))
    think_fault = _think_fault(response, tags)
    if tags and not tags[-1][1]:
        return Answer(None, "no_answer", "the thinking is not closed", -1, think_fault)
    area = tags[-1].end() if tags else 0
    boxes, is_open = _boxes(response, area)
    if is_open:
        return Answer(None, "no_answer", "the last box is not closed", -1, think_fault)
    if not boxes:
        early = tags and "\\boxed" in response[:area]
        reason = "the box is not behind the thinking" if early else "no \\boxed{} in the response"
        return Answer(None, "no_answer", reason, -1, think_fault)
    return _bounded(*_joined(response, boxes), think_fault)


def _bounded(text: str, start: int, think_fault: str | None) -> Answer:
    if not text:
        return Answer(None, "no_answer", "the box is empty", -1, think_fault)
    if len(text) > MAX_ANSWER:
        reason = f"the answer has {len(text)} characters, more than {MAX_ANSWER}"
        return Answer(None, "unparsable", reason, -1, think_fault)
    return Answer(text, "ok", None, start, think_fault)


class _Box(NamedTuple):
    """Where a box begins, its inside begins and ends, and it is behind."""

    start: int
    inside: int
    end: int

    @property
    def behind(self) -> int:
        return self.end + 1


def _boxes(response: str, area: int) -> tuple[list[_Box], bool]:
    """The closed boxes behind `area` by start, and whether the last that begins stays open."""
    boxes: list[_Box] = []
    stack: list[tuple[int, int] | None] = []
    for token in _TOKEN.finditer(response, area):
        if token[0] == "}":
            if stack and (opened := stack.pop()):
                boxes.append(_Box(*opened, token.start()))
        else:
            stack.append(None if token[0] == "{" else token.span())
    last_open = max((opened[0] for opened in stack if opened), default=-1)
    boxes.sort()
    return boxes, last_open > (boxes[-1].start if boxes else -1)


def _joined(response: str, boxes: list[_Box]) -> tuple[str, int]:
    """(content, start) of the last box, with those right before it: several are one answer."""
    last = boxes[-1]
    parts, at = [response[last.inside : last.end].strip()], last
    marks: list[str] = []
    for box in reversed(boxes[:-1]):
        between = response[box.behind : at.start] if box.behind <= at.start else None
        if between is None:
            continue  # the box around one that is taken already
        if not _JOINT.fullmatch(between):
            break
        parts.append(response[box.inside : box.end].strip())
        marks.append(" or " if _OR.search(between) else ", ")
        at = box
    if len(set(parts)) == 1:
        return parts[0], at.start
    text = parts[-1]
    for mark, part in zip(reversed(marks), reversed(parts[:-1]), strict=True):
        text += mark + part
    return text, at.start


def _think_fault(response: str, tags: list[re.Match[str]]) -> str | None:
    kinds = [tag[1] for tag in tags]
    if "/" not in kinds:
        return "the thinking is not closed" if kinds else "no <think></think>"
    if kinds not in (["", "/"], ["/"]):
        return "more than one pair of think tags"
    begin = tags[0].end() if len(tags) == 2 else 0
    return None if response[begin : tags[-1].start()].strip() else "the thinking is empty"
