"""Finding the unit of an answer that is a quantity; 1.2 cm is no answer in mm."""

from __future__ import annotations

import re
from functools import cache

from qoqdata.units import SPELLINGS, unit_code
from qoqtrain.rewards.text import singular

_WORD_END = re.compile(r"(?<=\S)(?=[\s.,;:!?)\]-]|$)")
_LONGEST = 40


def unit_at_start(text: str, code: str | None) -> str | None:
    """The code of the unit that a text begins with; None where it begins with none that is known.

    The longest run of words that spells a unit counts, so "mm Hg" is no millimetre. `code` is
    known too, though it may not be in the table.
    """
    own, known = unit_code(code), _known()
    for end in sorted((mark.start() for mark in _WORD_END.finditer(text[:_LONGEST])), reverse=True):
        form = _form(text[:end])
        if own and form == _form(own):
            return own
        if form in known:
            return known[form]
    return None


@cache
def _known() -> dict[str, str]:
    return {_form(name): code for code, names in SPELLINGS.items() for name in (code, *names)}


def _form(text: str) -> str:
    return singular(" ".join(text.casefold().split()))
