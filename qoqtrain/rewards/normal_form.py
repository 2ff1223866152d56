"""One normal form for labels and answers, so that spelling and mark-up do not decide a reward."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

# Font macros carry no meaning; \& \% \_ and the spacing macros stand for the character itself.
_FONT_MACRO = re.compile(
    r"\\(?:text|math)(?:bf|it|rm|sf|tt|normal)?(?![a-zA-Z])|\\emph(?![a-zA-Z])"
)
_ESCAPED = re.compile(r"\\([&%_#$ ,;])")

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
    """The text without LaTeX font macros, markdown and control characters; NFKC, case kept.

    NFKC is Unicode Standard Annex 15: full-width forms and ligatures become plain letters.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    if "\\" in text:
        text = _ESCAPED.sub(r"\1", _FONT_MACRO.sub("", text))
    return text.translate(_CHARACTERS)


def normal_form(text: str) -> str:
    """`plain`, case folded, blanks collapsed, without enclosing marks and closing punctuation.

    "**Melanoma.**", "\\text{melanoma}" and " MELANOMA" share one form. A text of marks alone keeps
    them, so that labels such as "?" stay apart.
    """
    return _cached(text) if len(text) <= 256 else _normal_form(text)


def _normal_form(text: str) -> str:
    folded = " ".join(plain(text).casefold().split())
    return folded.lstrip(_OPENING).rstrip(_CLOSING) or folded


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
