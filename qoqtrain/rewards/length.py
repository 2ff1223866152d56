"""The length part: enough words of reasoning before an answer, and not far too many.

It says nothing about what the words mean; weigh it low or, as the "paper" preset does, not at all.
"""

from __future__ import annotations

import operator
import re

from qoqtrain.rewards.boxed import Answer
from qoqtrain.rewards.object_list import ObjectList
from qoqtrain.rewards.part import Part

# No word of prose is longer; runs such as "xxxx..." are no words.
_LONGEST_WORD = 40
_IDEOGRAPH = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


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
