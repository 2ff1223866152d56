"""A rule: a pattern, and a check of what it matched. Both take time linear in the text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from qoqdata.curation.phi.cues import Cue
from qoqdata.curation.phi.words import keyed_words, one_of, words


class Span(NamedTuple):
    """Characters `start` up to `end` of a text, and the rule that found them."""

    rule: str
    start: int
    end: int


def _always(_match: re.Match[str]) -> bool:
    return True


@dataclass(frozen=True)
class Rule:
    """Matches of `pattern` of which `holds` is true are findings called `name`.

    `cue` says what every text has that has such a match.
    No quantifier of a pattern is open where another one begins, so that a search over a text of n
    characters takes a number of steps that grows with n.
    """

    name: str
    pattern: re.Pattern[str]
    holds: Callable[[re.Match[str]], bool]
    cue: Cue


def rule(
    name: str,
    pattern: str,
    holds: Callable[[re.Match[str]], bool] = _always,
    *,
    cue: Cue,
    case: bool = False,
) -> Rule:
    """A rule from the text of its pattern; upper and lower case are one unless `case`."""
    return Rule(name, re.compile(pattern, 0 if case else re.IGNORECASE), holds, cue)


def matches(one: Rule, text: str) -> Iterator[Span]:
    """What a rule finds in a text."""
    for match in one.pattern.finditer(text):
        if one.holds(match):
            yield Span(one.name, match.start(), match.end())


def matches_at(one: Rule, text: str, places: Iterable[int]) -> Iterator[Span]:
    """What a rule finds, if it finds nothing but at some of the places, which are in order."""
    end = 0
    for place in places:
        # As a search does, on from the last match, whether it held or not.
        if place >= end and (match := one.pattern.match(text, place)):
            end = match.end()
            if one.holds(match):
                yield Span(one.name, match.start(), end)


_UNIT = re.compile(
    r"(?:\s?(?:-|–|to|or|bis|à|a)\s?(?=\d))?"
    rf"[\s-]{{0,2}}(?:\d{{1,6}}(?:[.,]\d{{1,4}})?\s?)?(?:{one_of(words('units'))})(?!\w)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    rf"(?<!\w)(?:{one_of(keyed_words('calendar')['numbered'])})[\s.:#=-]{{0,3}}$", re.IGNORECASE
)


def is_measured(match: re.Match[str]) -> bool:
    """Whether a unit or a counted thing follows: `3-4-12 mm`, `Dec 10 mg`."""
    return _UNIT.match(match.string, match.end()) is not None


def is_numbered(match: re.Match[str]) -> bool:
    """Whether a word stands before it that has numbers with dots and strokes: `version 1.2.3`."""
    return said_before(match, _NUMBERED)


def said_before(match: re.Match[str], pattern: re.Pattern[str], within: int = 28) -> bool:
    """Whether `pattern`, which ends with `$`, holds of the few characters before a match."""
    return pattern.search(match.string[max(0, match.start() - within) : match.start()]) is not None
