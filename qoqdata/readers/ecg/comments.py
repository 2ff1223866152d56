"""Age, sex and diagnosis codes from the comment lines of a WFDB header."""

from __future__ import annotations

import re
from collections.abc import Iterable

from qoqdata.person import OLDEST, read_age, read_sex, stated_years

# The value up to a blank or separator, with a sign before it, decimals after a comma, and a unit.
_AGE = re.compile(
    r"(?:^|[<\s;,])age\b[^:=]*[:=]\s*"
    r"((?:[>≥]=?\s*)?[^\s;,<]+(?:,[0-9]+)?(?:\s+(?:day|week|month|year|yr)s?\b)?)",
    re.IGNORECASE,
)
_SEX = re.compile(r"(?:^|[<\s;,])(?:sex|gender)\b[^:=]*[:=]\s*([^\s;,<]+)", re.IGNORECASE)
_DX = re.compile(r"^\s*dx\s*[:=](.*)$", re.IGNORECASE)
_NONE = frozenset({"", "unknown", "nan", "none", "n/a", "na"})


def age(comments: Iterable[str]) -> tuple[int | None, list[str]]:
    """Whole years from the first `age` entries, or None, and what was noted on the way.

    Ages outside 0-120 (PTB-XL writes 300 for "over 89"), non-numbers and entries that contradict
    each other give None; the raw line stays in the comments.
    """
    stated = {value for line in comments for value in _AGE.findall(line)}
    ages = {years for value in stated if (years := read_age(value)) is not None}
    beyond = any((stated_years(value) or 0) >= OLDEST + 1 for value in stated)
    if len(ages) + beyond > 1:
        return None, ["the comments state different ages; age left out"]
    if beyond:
        return None, [f"the stated age is above {OLDEST}; age left out"]
    return next(iter(ages), None), []


def sex(comments: Iterable[str]) -> tuple[str | None, list[str]]:
    """female, male, other or None (not stated, unknown, or contradictory), and what was noted."""
    stated = {value for line in comments for value in _SEX.findall(line)}
    sexes = {one for value in stated if (one := read_sex(value)) is not None}
    if len(sexes) > 1:
        return None, ["the comments state different sexes; sex left out"]
    return next(iter(sexes), None), []


def dx(comments: Iterable[str]) -> tuple[str, ...]:
    """Codes of all `Dx:` comments, each once, in order; SNOMED CT codes or words, as written."""
    codes = [
        code.strip()
        for line in comments
        if (match := _DX.match(line))
        for code in match.group(1).split(",")
    ]
    return tuple(dict.fromkeys(code for code in codes if code.lower() not in _NONE))
