"""Texts: their normal form, and the similarity of two of them on words.

One normal form for labels and answers, so that spelling and mark-up do not decide a reward. The
measures need no model: they are named in every result table, and none of them judges meaning.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

# Macros of font, size and boxes carry no meaning; spacing macros and ~ are blanks, \\ is a new
# line; \& \% \_ stand for the character itself.
_FONT_MACRO = re.compile(
    r"\\(?:(?:text|math)(?:bf|it|rm|sf|tt|sc|normal|up|bb)?|emph|mbox|hbox|operatorname|underline"
    r"|[fF]box|boxed|bf|it|rm|tiny|small|normalsize|[lL]arge|LARGE|huge|displaystyle)(?![a-zA-Z])"
)
_BLANK_MACRO = re.compile(r"\\(?:q?quad|enspace|thinspace|space)(?![a-zA-Z])|\\[ ,;:!]|(?<!\\)~")
_LINE_MACRO = re.compile(r"\\\\(?![a-zA-Z])|\\newline(?![a-zA-Z])")
_ESCAPED = re.compile(r"\\([&%_#$~])")

_DROPPED = {ord(mark): None for mark in "{}$*`\u200b\u200c\u200d\u2060\ufeff"}
_CONTROLS = dict.fromkeys((*range(9), *range(14, 32), 127))
_REPLACED = {ord(dash): "-" for dash in "\u2010\u2011\u2012\u2013\u2014\u2212"} | {
    ord("_"): " ",
    ord("\u201c"): '"',
    ord("\u201d"): '"',
    ord("\u2018"): "'",
    ord("\u2019"): "'",
}
_CHARACTERS: dict[int, str | None] = {**_DROPPED, **_CONTROLS, **_REPLACED}

_OPENING = " \"'(["
_CLOSING = " \"')].,;:!?"


def plain(text: str) -> str:
    """The text without LaTeX macros of layout, markdown and control characters; NFKC, case kept.

    NFKC is Unicode Standard Annex 15: full-width forms and ligatures become plain letters.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    if "\\" in text or "~" in text:
        text = _BLANK_MACRO.sub(" ", _LINE_MACRO.sub("\n", text))
        text = _ESCAPED.sub(r"\1", _FONT_MACRO.sub("", text))
    return text.translate(_CHARACTERS)


def normal_form(text: str) -> str:
    """`plain`, case folded, blanks collapsed, without enclosing marks and closing punctuation.

    "**Melanoma.**", "\\text{melanoma}" and " MELANOMA" share one form. A text of marks alone keeps
    them, so that labels such as "?" stay apart.
    """
    return _cached(text) if len(text) <= 256 else _normal_form(text)


def _normal_form(text: str) -> str:
    form = " ".join(plain(text).casefold().split())
    return form.lstrip(_OPENING).rstrip(_CLOSING) or form


_cached = lru_cache(maxsize=1 << 15)(_normal_form)


def singular(form: str) -> str:
    """A normal form with the English plural -s taken off every word ("no findings").

    Words on -ss, -is and -us are no plurals (mass, atelectasis, thrombus) and stay. Only for
    looking up what has no exact match.
    """
    return " ".join(
        word[:-1]
        if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "is", "us"))
        else word
        for word in form.split(" ")
    )


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
    common = sum((Counter(first) & Counter(second)).values())
    return 2 * common / (len(first) + len(second))


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
        hits = row & places.get(word, 0)
        row = (row + hits | row - hits) & full
    return len(first) - row.bit_count()
