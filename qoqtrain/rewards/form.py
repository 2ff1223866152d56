"""The parts that judge form: is the object list written as asked, the reasoning of fair length.

They say nothing about what the words mean. Weigh length low or, as the "paper" preset does, not at
all.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection

from qoqtrain.rewards.final_answer import Answer
from qoqtrain.rewards.object_list import ObjectList
from qoqtrain.rewards.scheme import Part, Status

# No word of prose is longer; runs such as "xxxx..." are no words.
_LONGEST_WORD = 40
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


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


def binary(objects: ObjectList, labels: Collection[str], name: Callable[[str], str]) -> float:
    """1 when the list parses and every label of the answer has a box (QoQ-Med, section 3.4).

    `labels` are those of the answer, in the form that `name` gives. 0 without an answer.
    """
    with_box = {
        name(mention.label) for mention in objects.mentions if mention.label and mention.corners
    }
    return float(bool(labels) and with_box.issuperset(labels))


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


def word_count(text: str) -> int:
    """Words between blanks: without repeats of the word before, of 40 characters at most.

    Every Chinese or Japanese character counts as a word.
    """
    count = _count(text.split())
    return count if text.isascii() else max(count, len(_IDEOGRAPH.findall(text)))


def _count(words: list[str]) -> int:
    if max(map(len, words), default=0) > _LONGEST_WORD:
        words = [word for word in words if len(word) <= _LONGEST_WORD]
    return len(words) - sum(map(operator.eq, words, words[1:]))


def length_part(
    response: str, answer: Answer, objects: ObjectList, *, full: int, overlong: int
) -> Part:
    """Words of reasoning before the answer, over `full`, at most 1.

    The object list is not counted. Beyond `overlong` words the value falls in a line to 0 at 1.5
    times as many. Without an answer it is 0: length is paid only for what leads to one. (The
    published code counts characters of the whole response and jumps from 0.6 to 1 at 601; 80
    words of English prose are about 600 characters.)
    """
    if answer.text is None:
        return Part(0.0, answer.status, answer.reason)
    start, end = objects.span
    reasoning = response[: answer.start]
    if start < end <= answer.start:
        reasoning = reasoning[:start] + " " + reasoning[end:]
    if len(reasoning) <= 2 * overlong:  # too short to hold more than `overlong` words
        first = full + full // 4
        if _count(reasoning.split(None, first)[:first]) >= full:
            return Part(1.0)
    count = word_count(reasoning)
    value = min(count / full, 1.0)
    if count > overlong:
        return Part(
            value * max(0.0, 1 - (count - overlong) / (0.5 * overlong)), "ok", f"{count} words"
        )
    return Part(value)
