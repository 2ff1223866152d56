"""The final answer of a response: the last \\boxed{} after the thinking."""

from __future__ import annotations

import re
from typing import NamedTuple

from qoqtrain.rewards.scheme import Status

#: Longer answers are refused: a label list has hundreds of characters, an open answer thousands.
MAX_ANSWER = 16_384

_TAG = re.compile(r"<(/?)think>", re.IGNORECASE)
_OPEN = re.compile(r"\\boxed[ \t]{0,4}\{")
_BRACE = re.compile(r"[{}]")


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
    response was cut off, and earlier boxes are not taken in its stead. Linear time.
    """
    tags = list(_TAG.finditer(response))
    think_fault = _think_fault(response, tags)
    if tags and not tags[-1][1]:
        return Answer(None, "no_answer", "the thinking is not closed", -1, think_fault)
    area = tags[-1].end() if tags else 0
    box = _last_open(response, area)
    if box is None:
        early = tags and _last_open(response, 0) is not None
        reason = "the box is not behind the thinking" if early else "no \\boxed{} in the response"
        return Answer(None, "no_answer", reason, -1, think_fault)
    start, inside = box
    depth = 1
    for brace in _BRACE.finditer(response, inside):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return _bounded(response[inside : brace.start()].strip(), start, think_fault)
    return Answer(None, "no_answer", "the last box is not closed", -1, think_fault)


def _bounded(text: str, start: int, think_fault: str | None) -> Answer:
    if not text:
        return Answer(None, "no_answer", "the box is empty", -1, think_fault)
    if len(text) > MAX_ANSWER:
        reason = f"the answer has {len(text)} characters, more than {MAX_ANSWER}"
        return Answer(None, "unparsable", reason, -1, think_fault)
    return Answer(text, "ok", None, start, think_fault)


def _last_open(response: str, area: int) -> tuple[int, int] | None:
    """(start of the macro, first index inside the braces) of the last box at or behind `area`."""
    start = len(response)
    while (start := response.rfind("\\boxed", area, start)) >= 0:
        if macro := _OPEN.match(response, start):
            return start, macro.end()
    return None


def _think_fault(response: str, tags: list[re.Match[str]]) -> str | None:
    kinds = [tag[1] for tag in tags]
    if "/" not in kinds:
        return "the thinking is not closed" if kinds else "no <think></think>"
    if kinds not in (["", "/"], ["/"]):
        return "more than one pair of think tags"
    begin = tags[0].end() if len(tags) == 2 else 0
    return None if response[begin : tags[-1].start()].strip() else "the thinking is empty"
