"""Many patterns searched for in one text, each where the text has what its matches begin with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from qoqdata.curation.phi.heads import LONGEST, folded, heads


class Search:
    """The matches of patterns, as `finditer` has them; none of them matches nothing at all."""

    def __init__(self, patterns: Sequence[re.Pattern[str]]) -> None:
        self._patterns = patterns
        self._heads = [heads(pattern) for pattern in patterns]
        self._by_beginning: dict[str, list[int]] = {}
        for number, known in enumerate(self._heads):
            for beginning in known.beginnings if known else ():
                self._by_beginning.setdefault(beginning, []).append(number)
        # What texts had so far, and which patterns begin with it, where some do.
        self._seen: set[str] = set()
        self._wanted: dict[str, list[int]] = {}

    def matches(self, text: str) -> Iterator[tuple[int, re.Match[str]]]:
        """The number of the pattern and its match, pattern by pattern."""
        places = self._places(_begins(text)) if text.isascii() else None
        for number, (pattern, known) in enumerate(zip(self._patterns, self._heads, strict=True)):
            if places is None or known is None or (number in places and not known.first):
                found = pattern.finditer(text)
            elif number in places:
                found = _tried(pattern, text, places[number])
            else:
                continue
            for match in found:
                yield number, match

    def _places(self, begins: dict[str, list[int]]) -> dict[int, list[int]]:
        """By pattern the places of its beginnings in a text."""
        for begin in begins.keys() - self._seen:
            ends = range(1, len(begin) + 1)
            numbers = {n for end in ends for n in self._by_beginning.get(begin[:end], ())}
            self._seen.add(begin)
            if numbers:
                self._wanted[begin] = sorted(numbers)
        places: dict[int, list[int]] = {}
        for begin in begins.keys() & self._wanted.keys():
            for number in self._wanted[begin]:
                places.setdefault(number, []).extend(begins[begin])
        return places


@lru_cache(maxsize=1)
def _begins(text: str) -> dict[str, list[int]]:
    """The places of an ASCII text by the characters there; several searches ask of one text."""
    found: dict[str, list[int]] = {}
    plain = folded(text)
    for at in range(len(plain)):
        found.setdefault(plain[at : at + LONGEST], []).append(at)
    return found


def _tried(pattern: re.Pattern[str], text: str, places: Iterable[int]) -> Iterator[re.Match[str]]:
    """The matches of a pattern that can match at some places alone."""
    end = 0
    for at in sorted(places):
        if at >= end and (match := pattern.match(text, at)):
            yield match
            end = match.end()
