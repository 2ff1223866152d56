"""Reading one number, and the unit it is in, from an answer."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from qoqdata.units import unit_code, unit_name
from qoqtrain.rewards.scheme import Status
from qoqtrain.rewards.text import plain
from qoqtrain.rewards.units import unit_at_start

#: Longer answers are no quantity.
_LONGEST = 256

_NUMBER = re.compile(
    r"(?P<bound>[<>\u2264\u2265]\s*)?"
    r"(?<![\w.^])(?<!\d,)(?P<mantissa>[+-]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+))"
    r"(?:[eE](?P<e>[+-]?\d{1,3})|\s?[x\u00d7\u22c5]\s?10\^(?P<power>[+-]?\d{1,3}))?"
    r"(?!\d|\.\d|,\d|\s?\^)"
)
_SUPERSCRIPT = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u2079\u207b]+")
_THIN_SPACE = re.compile(r"(?<=\d)\\[,;: ](?=\d{3}(?!\d))")
_POWER = re.compile(r"(?<=\d)\*\*(?=-?\d)")
_MACRO = re.compile(r"\^?\\(times|cdot|mu|circ|leq?|geq?)(?![a-zA-Z])\s*")
_MACROS = {
    "times": "\u00d7",
    "cdot": "\u22c5",
    "mu": "\u03bc",
    "circ": "\u00b0",
    "le": "\u2264",
    "leq": "\u2264",
    "ge": "\u2265",
    "geq": "\u2265",
}


class Quantity(NamedTuple):
    """A number in the unit asked; None with a status and a reason where none could be read."""

    value: float | None
    status: Status = "ok"
    reason: str | None = None


def quantity(answer: str, unit: str | None) -> Quantity:
    """The one number of an answer, in `unit` (a UCUM code, None for a bare number).

    Words may stand before it. 1,200 is a thousand and two hundred; 12,5 is no number here, nor is
    a range, a fraction or a bound such as < 5. An answer that names no unit is in the one asked;
    a word right behind the number that does not spell this unit is another one.
    """
    if len(answer) > _LONGEST:
        return Quantity(None, "unparsable", f"{len(answer)} characters are no number")
    text = _prepared(answer)
    found = list(_NUMBER.finditer(text))
    if len(found) != 1:
        what = f"{len(found)} numbers where one is asked" if found else "no number can be read"
        return Quantity(None, "unparsable", what)
    (number,) = found
    if number["bound"]:
        return Quantity(None, "unparsable", "a bound is no value")
    value = float(f"{number['mantissa'].replace(',', '')}e{number['e'] or number['power'] or 0}")
    if abs(value) == float("inf"):
        return Quantity(None, "unparsable", "the number is beyond float64")
    behind = text[number.end() :].lstrip(" -,")
    named = unit_at_start(behind, unit)
    asked = unit_code(unit)
    if named is None and asked and behind[:1].isalpha():
        named = behind.split()[0]
    if named is not None and named != asked:
        reason = f"the answer is in {unit_name(named)}, asked is {unit_name(unit) or 'no unit'}"
        return Quantity(None, "wrong_unit", reason)
    return Quantity(value)


def is_within(value: float, right: float, tolerance: float) -> bool:
    """Whether a value is right: an error of the tolerance itself counts, rounding aside."""
    return abs(value - right) <= tolerance + 1e-9 * max(abs(right), tolerance)


def _prepared(answer: str) -> str:
    """The answer without mark-up; powers stay powers, and a product is none of mark-up."""
    text = _SUPERSCRIPT.sub(lambda mark: "^" + unicodedata.normalize("NFKC", mark[0]), answer)
    text = _THIN_SPACE.sub(",", text)  # thousands
    text = _POWER.sub("^", text).replace("**", "").strip("* ").replace("*", "\u00d7")
    text = _MACRO.sub(lambda macro: _MACROS[macro[1]], plain(text))
    return " ".join(text.split())
