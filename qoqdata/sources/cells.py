"""Cells of annotation tables, which hold numbers as text in many spellings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from qoqdata.errors import BadLabel, BadTable
from qoqdata.person import read_sex

#: Spellings of an absent value.
ABSENT = frozenset({"", "na", "n/a", "nan", "none", "null", "unknown", "-99", "-99.0"})
_LONGEST = max(map(len, ABSENT))


def text(cell: str | None) -> str | None:
    """The stripped cell; None for the usual spellings of an absent value."""
    word = (cell or "").strip()
    return None if word.lower() in ABSENT else word


def texts(column: Iterable[str | None]) -> list[str | None]:
    """As `text`, of each cell of a column."""
    words = [(cell or "").strip() for cell in column]
    # Few words are as short as the longest of those spellings.
    return [None if len(word) <= _LONGEST and word.lower() in ABSENT else word for word in words]


def number(cell: str | None) -> float | None:
    """The cell as a finite number, or None when it is absent or no number."""
    word = text(cell) or "nan"
    try:
        # Python reads "1_000" as a number; no table means that.
        value = math.nan if "_" in word else float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def quantity(cell: str | None, column: str, *, where: str) -> float | None:
    """The cell as `number` gives it, None where it is absent; BadTable where it is anything else.

    For what a question is about: a decimal comma is no blank.
    """
    value = number(cell)
    if value is None and (word := text(cell)) is not None:
        raise BadTable(f"{column} is {word!r}, no number", where=where, fix="mend the cell")
    return value


def integer(cell: str | None) -> int | None:
    """The cell as a whole number ("15709.0" is 15709), or None when it is none."""
    value = number(cell)
    return int(value) if value is not None and value == int(value) else None


def sex(cell: str | None, words: Mapping[str, str] | None = None) -> str | None:
    """female, male or other; None when absent.

    `words` are spellings beside those of `read_sex`. Raises BadLabel for one that nobody explained:
    whether 1 is male or female is not for us to guess.
    """
    word = text(cell)
    if word is None:
        return None
    value = (words or {}).get(word) or read_sex(word)
    if value is None:
        raise BadLabel(f"the sex {word!r} is not known", fix="map it under sex_values")
    return value
