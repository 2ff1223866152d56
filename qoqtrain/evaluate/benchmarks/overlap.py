"""Overlap of open answers with their truths, in the words of `qoqtrain.rewards.text`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from qoqtrain.rewards.text import words


def token_recall(answer: str, truth: str) -> float:
    """Share of the words of the truth that the answer has, counted as often as they occur.

    The "recall" that LLaVA-Med (arXiv 2306.00890) reports for open questions: long answers are not
    punished, so it is no accuracy.
    """
    wanted = Counter(words(truth))
    if not wanted:
        return float(not words(answer))
    return sum((Counter(words(answer)) & wanted).values()) / wanted.total()


def corpus_bleu(pairs: Iterable[tuple[str, str]], order: int) -> float | None:
    """BLEU with n-grams up to `order` over (answer, truth) pairs; None without any pair.

    Papineni et al., "BLEU", ACL 2002: clipped matches and lengths are summed over the corpus
    before the geometric mean, times the brevity penalty. No smoothing: an order without a match
    makes it 0.
    """
    hits, totals = [0] * order, [0] * order
    answered = wanted = 0
    count = 0
    for answer, truth in pairs:
        count += 1
        first, second = words(answer), words(truth)
        answered += len(first)
        wanted += len(second)
        for n in range(1, order + 1):
            grams = _grams(first, n)
            hits[n - 1] += (grams & _grams(second, n)).total()
            totals[n - 1] += grams.total()
    if not count:
        return None
    if not all(hits):
        return 0.0
    mean = sum(math.log(hit / total) for hit, total in zip(hits, totals, strict=True)) / order
    return math.exp(mean + min(0.0, 1.0 - wanted / answered))


def _grams(tokens: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
