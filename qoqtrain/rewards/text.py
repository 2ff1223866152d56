"""Similarity of open answers, 0 to 1, on words.

Measures that need no model: they are named in every result table, and none of them judges meaning.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from qoqtrain.rewards.normal_form import normal_form

# Runs of letters and digits; a Chinese or Japanese character is a word of its own.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


def words(text: str) -> list[str]:
    """Words of the normal form: case folded, without punctuation."""
    return _WORD.findall(normal_form(text))


def rouge_l(answer: str, truth: str) -> float:
    """ROUGE-L F1: 2 L / (n + m), L the longest common subsequence of the n and m words.

    Lin, "ROUGE: a package for automatic evaluation of summaries", 2004, with beta = 1, without
    stemming. Two answers without words are equal.
    """
    first, second = words(answer), words(truth)
    if not first or not second:
        return float(first == second)
    return 2 * _common_subsequence(first, second) / (len(first) + len(second))


def token_f1(answer: str, truth: str) -> float:
    """F1 of the two bags of words (Rajpurkar et al., SQuAD, 2016, without dropping articles)."""
    first, second = words(answer), words(truth)
    if not first or not second:
        return float(first == second)
    shared = sum((Counter(first) & Counter(second)).values())
    return 2 * shared / (len(first) + len(second))


def exact(answer: str, truth: str) -> float:
    """1 when the words are the same in the same order."""
    return float(words(answer) == words(truth))


MEASURES: dict[str, Callable[[str, str], float]] = {
    "rouge_l": rouge_l,
    "token_f1": token_f1,
    "exact": exact,
}


def _common_subsequence(first: list[str], second: list[str]) -> int:
    """Length of the longest common subsequence, one whole row of the table per big-integer step.

    Hyyro, "Bit-parallel LCS-length computation revisited", 2004: bit i of `row` is 0 where the
    length grows at word i of `first`.
    """
    places: dict[str, int] = {}
    for index, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << index
    full = (1 << len(first)) - 1
    row = full
    for word in second:
        matched = row & places.get(word, 0)
        row = (row + matched | row - matched) & full
    return len(first) - row.bit_count()
