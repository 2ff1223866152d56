"""Age and sex of a person, from the spellings of headers, comments and tables: one rule for all."""

from __future__ import annotations

import re
from numbers import Real

import numpy as np

from qoqdata.contract.vocabulary import AGE_CAP

#: Nobody is older; a larger number is a code or a mistake.
OLDEST = 120

_UNITS_A_YEAR = {"d": 365.25, "w": 365.25 / 7, "m": 12.0, "y": 1.0}
# A bare letter counts as a unit only beside its number (DICOM PS3.5 6.2, AS): the M of "58 M" is
# as likely a sex.
_AGE = re.compile(
    r"(?P<over>>=|≥|>)?\s*"
    r"(?P<number>(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:e[+-]?[0-9]{1,3})?)"
    r"(?P<unit>[dwmy]|\s*(?:day|week|month|year|yr)s?)?\s*(?P<more>\+)?",
    re.IGNORECASE | re.ASCII,
)
_SEXES = {
    **dict.fromkeys(("f", "female", "woman"), "female"),
    **dict.fromkeys(("m", "male", "man"), "male"),
    **dict.fromkeys(("o", "other"), "other"),
}


def read_age(value: object, *, infant: bool = False) -> int | None:
    """Completed years, 0 to 120, those above `AGE_CAP` as the cap; None for anything else.

    Takes numbers and texts: `45.5`, `45,5`, DICOM's `058Y`, `018M`, `006W` and `010D`, whole words
    (`18 months`), and open ends where the cap makes one age of them (`90+`, `>89`; not `65+`).

    Zero years (`000Y`, `000`) is what an anonymiser leaves without a birth date, so it is an age
    only where another fact says so: pass `infant` when the birth date does. `0` alone, and zero
    months, weeks or days, are infants.
    """
    years = stated_years(value)
    if years is None or not 0 <= years < OLDEST + 1:
        return None
    whole = int(years)
    if (match := _match(value)) is None:
        return min(whole, AGE_CAP)
    if match["over"] or match["more"]:
        least = whole + 1 if match["over"] == ">" else whole
        return AGE_CAP if least >= AGE_CAP else None
    blank = _unit(match) == "y" or (not _unit(match) and match["number"].startswith("00"))
    return None if years == 0 and blank and not infant else min(whole, AGE_CAP)


def stated_years(value: object) -> float | None:
    """The years that a value states, plausible or not; None when it states none.

    An open end gives its bound. Never raises.
    """
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, Real):
        try:
            years = float(value)
        except OverflowError:
            return None
        return years if years >= 0 else None
    match = _match(value)
    if match is None:
        return None
    return float(match["number"].replace(",", ".")) / _UNITS_A_YEAR[_unit(match) or "y"]


def read_sex(value: object) -> str | None:
    """female, male or other from M, F, O and the English words; None for anything else.

    Codes such as 0 and 1, and other languages' words, mean what their source says: its converter
    or mapping translates them before.
    """
    return _SEXES.get(_text(value).lower())


def _match(value: object) -> re.Match[str] | None:
    return _AGE.fullmatch(_text(value))


def _unit(match: re.Match[str]) -> str:
    """d, w, m or y; empty for a bare number."""
    return (match["unit"] or "").strip().lower()[:1]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", errors="replace")
    return value.strip() if isinstance(value, str) else ""
