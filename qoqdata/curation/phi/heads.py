"""What the matches of a pattern begin with, so that a rule is tried where it can match alone.

Ninety rules tried at every character of a report take half of a curation; of most, three
characters say that they cannot match there. Of ASCII texts alone: elsewhere letters have more forms
than one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

#: Characters of a head, and how many a place of it may be: of more, it ends before.
LONGEST, _MOST = 3, 14
#: Characters that are one with those of ASCII where upper and lower case are.
_LIKE_ASCII = {"ſ": "s", "\u212a": "k", "İ": "i", "ı": "i"}
_ASCII = [chr(number) for number in range(128)]
#: What is one in heads: letters of both cases, digits, blanks.
_FOLDED = {
    **{digit: "0" for digit in "0123456789"},
    **{one: " " for one in _ASCII if one.isspace()},
}
_TABLE = str.maketrans(_FOLDED)

#: Characters that a match may begin with, and whether these are all that is told of it.
_Head = tuple[str, bool]


def folded(text: str) -> str:
    """An ASCII text as heads are: of the same length."""
    return text.lower().translate(_TABLE)


class Heads(NamedTuple):
    """Beginnings, folded, of which every match in an ASCII text has one: at its first character or,
    unless `first`, somewhere in it."""

    beginnings: frozenset[str]
    first: bool


def heads(pattern: re.Pattern[str]) -> Heads | None:
    """Those of a pattern; None where they are too many to tell, and under a Python that parses
    patterns otherwise."""
    try:
        from re import _constants, _parser  # type: ignore[attr-defined]
    except ImportError:
        return None
    parts = list(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))
    of_parts = _Heads(_constants)
    # What ends a match is somewhere in it.
    found = [{head for head, _ in of_parts.of_all(parts[at:])} for at in range(len(parts))]
    if "" not in found[0]:
        return Heads(frozenset(found[0]), first=True)
    told = [some for some in found if "" not in some]
    return Heads(frozenset(min(told, key=_commonness)), first=False) if told else None


def _commonness(beginnings: Collection[str]) -> float:
    """How much of texts begins so, if all characters were as common."""
    return sum(40.0 ** -len(one) for one in beginnings)


class _Heads:
    """Heads of the parts of a parsed pattern; `codes` names the kinds of parts."""

    def __init__(self, codes: Any) -> None:
        self._codes = codes
        self._categories = {
            codes.CATEGORY_DIGIT: str.isdigit,
            codes.CATEGORY_NOT_DIGIT: lambda one: not one.isdigit(),
            codes.CATEGORY_SPACE: str.isspace,
            codes.CATEGORY_NOT_SPACE: lambda one: not one.isspace(),
            codes.CATEGORY_WORD: _is_word,
            codes.CATEGORY_NOT_WORD: lambda one: not _is_word(one),
        }

    def of_all(self, parts: Iterable[tuple[Any, Any]]) -> set[_Head]:
        """Of parts one after another."""
        found: set[_Head] = {("", False)}
        for part in parts:
            found = _followed(found, self._of(*part))
            if all(done for _, done in found):
                break
        return found

    def _of(self, code: Any, value: Any) -> set[_Head]:
        codes = self._codes
        if code is codes.LITERAL:
            return _each({_LIKE_ASCII.get(chr(value), chr(value))})
        if code is codes.IN:
            return _each(self._members(value))
        if code is codes.BRANCH:
            return set().union(*map(self.of_all, value[1]))
        if code is codes.SUBPATTERN:
            return self.of_all(value[-1])
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            return self._repeated(*value)
        if code in (codes.ASSERT, codes.ASSERT_NOT, codes.AT):
            return {("", False)}
        return {("", True)}

    def _repeated(self, least: int, most: int, parts: Sequence[tuple[Any, Any]]) -> set[_Head]:
        one = self.of_all(parts)
        times: set[_Head] = {("", False)}
        found: set[_Head] = set()
        # More of them begin as LONGEST do, each of which has a character.
        for count in range(min(most, least + LONGEST) + 1):
            if count >= least:
                found |= times
            times = _followed(times, one)
        return found

    def _members(self, items: Iterable[tuple[Any, Any]]) -> set[str]:
        """ASCII characters of a set; of both cases where one is in it."""
        codes = self._codes
        found: set[str] = set()
        kinds = {code for code, _ in items}
        for code, value in items:
            if code is codes.LITERAL:
                found.add(chr(value))
            elif code is codes.RANGE:
                found |= {
                    one for one in (*_ASCII, *_LIKE_ASCII) if value[0] <= ord(one) <= value[1]
                }
            elif code is codes.CATEGORY:
                found |= set(filter(self._categories[value], _ASCII))
        if codes.NEGATE in kinds:
            return set(_ASCII) - found
        return {_LIKE_ASCII.get(one, one) for one in found}


def _is_word(one: str) -> bool:
    return one.isalnum() or one == "_"


def _each(characters: Collection[str]) -> set[_Head]:
    """A head a character, folded; none where no ASCII text has one."""
    found = {folded(one) for one in characters if one.isascii()}
    return {("", True)} if len(found) > _MOST else {(one, False) for one in found}


def _followed(heads: set[_Head], by: set[_Head]) -> set[_Head]:
    found = {head for head in heads if head[1]}
    for before, done in heads - found:
        for after, end in by:
            both = (before + after)[:LONGEST]
            found.add((both, end or len(both) == LONGEST))
    return found
