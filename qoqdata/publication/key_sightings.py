"""Whether a raw key that stands in a text names somebody, or is a word or number like any other.

What is found has the hash of a key for certain; the question is whether it is one there. A key of
at least four telling characters is, wherever it stands and whatever letters it is glued to; telling
are digits, and letters of no common word. Digits alone are telling from six on, and five where so
few keys have five characters that a number of the text is hardly one of them by chance: `2019`,
`512` or `15709` are also years, sizes and counts. Anything weaker names somebody only

- where it is letters and digits, stands alone and is no short form of medicine or measures
  (`q7` does; `t2`, `v1`, `5mm` do not);
- after a word that announces an id (`patient 7`, `MRN: 12345`, `ID a1`, `case no. 3`), unless a
  unit of time or size follows (`patient 65 years`), or after a number sign;
- as the name of a raw file (`7.dcm`).

So keys of one to three characters, and of up to four or five digits, are not found in running text
without such a sign; a set that holds them is better keyed by longer ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from qoqdata.publication.identity_words import (
    ANNOUNCING,
    COMMON,
    COUNTED,
    FILES,
    NUMBERING,
    SHORT_FORM,
)
from qoqdata.records.raw_keys import DOT, LOOSE, NO_GAP, TIGHT

_RUNS = re.compile(r"[0-9]+|[^0-9]+")
#: Not the bars, commas and lines of a table.
_ANNOUNCES = re.compile(r"[ :#=_.(\[/'\"-]*")
#: Of the 90,000 numbers of five digits: one in a thousand.
_FEW = 90
_HEX = re.compile(r"(?=[0-9a-f]*[0-9])[0-9a-f]{16,}")


@dataclass(frozen=True)
class Sighting:
    """A key in a text: its words there, and what stands around them.

    `exact`: separated as the key itself is. `inner`, `before`, `after`: the widest gap inside, and
    those around it. `preceding`: two words before; `following`: one after, or what is glued to it.
    `between`: all that separates it from the word before. `rivals`: how many keys have its length.
    """

    words: tuple[str, ...]
    exact: bool
    inner: int
    before: int
    after: int
    preceding: tuple[str, str]
    following: str
    between: str
    rivals: int
    vocabulary: frozenset[str]


def names_somebody(one: Sighting) -> bool:
    """Whether the key is an id where it stands; see the module."""
    text = "".join(one.words)
    if _continues_a_number(one, text) or _is_inside_hash(one, text):
        return False
    runs = _RUNS.findall(text)
    digits = sum(len(run) for run in runs if run.isdigit())
    if digits == 0:
        return _is_name(one)
    if digits == len(text):
        telling = _is_long_number(one, digits)
    else:
        telling = _is_telling_mix(one, runs, digits) or _is_rare_short(one, text)
    return telling or _is_announced(one, runs, len(text))


def _continues_a_number(one: Sighting, text: str) -> bool:
    """Whether digits go on before or after the key: another number."""
    left = one.before == NO_GAP and one.preceding[1][-1:].isdigit() and text[0].isdigit()
    return left or (one.after == NO_GAP and one.following[:1].isdigit() and text[-1].isdigit())


def _is_inside_hash(one: Sighting, text: str) -> bool:
    before = one.preceding[1] if one.before == NO_GAP else ""
    after = one.following if one.after == NO_GAP else ""
    return bool(before or after) and bool(_HEX.fullmatch(f"{before}{text}{after}"))


def _is_name(one: Sighting) -> bool:
    """Letters alone: whole words, written as in the key, of which some is no common one."""
    if NO_GAP in (one.before, one.after) or (one.inner >= LOOSE and not one.exact):
        return False
    rare = [word for word in one.words if not _is_common(word, one)]
    return any(len(word) > 2 for word in rare) or _follows_announcement(one)


def _is_long_number(one: Sighting, digits: int) -> bool:
    """Digits alone. Numbers that follow each other are no number, unless the key is such a row."""
    if one.exact:
        return digits >= 6 or (digits == 5 and one.rivals <= _FEW)
    return digits >= 12 or (digits >= 8 and one.inner == TIGHT)


def _is_telling_mix(one: Sighting, runs: list[str], digits: int) -> bool:
    letters = sum(len(run) for run in runs if not run.isdigit() and not _is_common(run, one))
    # `a 123` may well be no A123.
    return digits + letters >= (7 if one.inner >= LOOSE and not one.exact else 4)


def _is_rare_short(one: Sighting, text: str) -> bool:
    alone = NO_GAP not in (one.before, one.after) and one.inner < LOOSE
    rare = not all(_is_common(run, one) for run in _RUNS.findall(text) if not run.isdigit())
    return alone and rare and not SHORT_FORM.fullmatch(text)


def _is_announced(one: Sighting, runs: list[str], length: int) -> bool:
    number = runs[0].isdigit() and len(runs) == 1
    if one.after == NO_GAP:
        return False
    # `image_1.png` is of no patient 1.
    if (
        one.after == DOT
        and one.following in FILES
        and one.before >= (LOOSE if length < 3 else TIGHT)
    ):
        return True
    if one.between.rstrip().endswith("#") and not (number and length < 3):
        return True
    # `Patient-0` announces itself.
    itself = one.exact and runs[0] in ANNOUNCING and one.before != NO_GAP
    counts = (number or itself) and one.following in COUNTED
    return (itself or _follows_announcement(one)) and not counts


def _follows_announcement(one: Sighting) -> bool:
    second, first = one.preceding
    if not _ANNOUNCES.fullmatch(one.between):
        return False
    return first in ANNOUNCING or (first in NUMBERING and second in ANNOUNCING)


def _is_common(word: str, one: Sighting) -> bool:
    return word in COMMON or word in one.vocabulary
