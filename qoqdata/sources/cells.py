"""Cells of annotation tables, which hold numbers as text in many spellings."""

from __future__ import annotations

import math
from collections.abc import Mapping

from qoqdata.errors import BadLabel

#: Spellings of an absent value.
ABSENT = frozenset({"", "na", "n/a", "nan", "none", "null", "unknown", "-99", "-99.0"})

#: Nobody is older; larger numbers are codes.
OLDEST = 130

_SEX = {
    **dict.fromkeys(("f", "female", "w", "woman"), "female"),
    **dict.fromkeys(("m", "male", "man"), "male"),
    **dict.fromkeys(("o", "other", "x"), "other"),
}


def text(cell: str | None) -> str | None:
    """The stripped cell; None for the usual spellings of an absent value."""
    stripped = (cell or "").strip()
    return None if stripped.lower() in ABSENT else stripped


def number(cell: str | None) -> float | None:
    """The cell as a finite number, or None when it is absent or no number."""
    known = text(cell) or "nan"
    try:
        # Python reads "1_000" as a number; no table means that.
        value = math.nan if "_" in known else float(known)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def integer(cell: str | None) -> int | None:
    """The cell as a whole number ("15709.0" is 15709), or None when it is none."""
    value = number(cell)
    return int(value) if value is not None and value == int(value) else None


def years(cell: str | None) -> int | None:
    """An age in completed years, or None when absent, no number, or no age of a person (such as
    the code 999)."""
    value = number(cell)
    return int(value) if value is not None and 0 <= value <= OLDEST else None


def sex(cell: str | None, words: Mapping[str, str] | None = None) -> str | None:
    """female, male or other; None when absent.

    `words` are further spellings. Raises BadLabel for a spelling that nobody explained: whether
    1 is male or female is not for us to guess.
    """
    known = text(cell)
    if known is None:
        return None
    if words and known in words:
        return words[known]
    try:
        return _SEX[known.lower()]
    except KeyError:
        fix = "map it under sex_values"
        raise BadLabel(f"the sex {known!r} is not known", fix=fix) from None
