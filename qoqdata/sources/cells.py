"""Cells of annotation tables, which hold numbers as text in many spellings."""

from __future__ import annotations

import math

#: Spellings of an absent value.
ABSENT = frozenset({"", "na", "n/a", "nan", "none", "null", "unknown", "-99", "-99.0"})

_SEX = {"f": "female", "female": "female", "w": "female", "m": "male", "male": "male"}


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
    """An age in completed years, or None when absent, negative or no number."""
    value = number(cell)
    return int(value) if value is not None and value >= 0 else None


def sex(cell: str | None) -> str | None:
    """female, male, other, or None when absent; any language's codes beyond f/w/m are `other`."""
    known = text(cell)
    return None if known is None else _SEX.get(known.lower(), "other")
