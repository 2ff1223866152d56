"""Age, sex and diagnosis codes from the comment lines of a WFDB header."""

from __future__ import annotations

import re
from collections.abc import Iterable

_AGE = re.compile(r"(?:^|[<\s;,])age\b[^:=]*[:=]\s*([^\s;,<]+)", re.IGNORECASE)
_SEX = re.compile(r"(?:^|[<\s;,])(?:sex|gender)\b[^:=]*[:=]\s*([^\s;,<]+)", re.IGNORECASE)
_DX = re.compile(r"^\s*dx\s*[:=](.*)$", re.IGNORECASE)
_YEARS = re.compile(r"[0-9]{1,3}(?:\.[0-9]+)?")
_SEXES = {"m": "male", "male": "male", "f": "female", "female": "female"}
_NONE = frozenset({"", "unknown", "nan", "none", "n/a", "na"})
OLDEST = 120


def age(comments: Iterable[str]) -> tuple[int | None, list[str]]:
    """Whole years from the first `age` entries, or None, and what was noted on the way.

    Ages outside 0-120 (PTB-XL writes 300 for "over 89"), non-numbers and entries that contradict
    each other give None; the raw line stays in the comments.
    """
    stated = {value for line in comments for value in _AGE.findall(line)}
    years = {int(float(value)) for value in stated if _YEARS.fullmatch(value)}
    if len(years) > 1:
        return None, ["the comments state different ages; age left out"]
    if years and max(years) > OLDEST:
        return None, [f"the stated age is above {OLDEST}; age left out"]
    return (years.pop() if years else None), []


def sex(comments: Iterable[str]) -> tuple[str | None, list[str]]:
    """ "male", "female" or None (not stated, unknown, or contradictory), and what was noted."""
    stated = {value.lower() for line in comments for value in _SEX.findall(line)}
    known = {_SEXES[value] for value in stated if value in _SEXES}
    if len(known) > 1:
        return None, ["the comments state different sexes; sex left out"]
    return (known.pop() if known else None), []


def dx(comments: Iterable[str]) -> tuple[str, ...]:
    """Codes of all `Dx:` comments, each once, in order; SNOMED CT codes or words, as written."""
    codes = [
        code.strip()
        for line in comments
        if (match := _DX.match(line))
        for code in match.group(1).split(",")
    ]
    return tuple(dict.fromkeys(code for code in codes if code.lower() not in _NONE))
