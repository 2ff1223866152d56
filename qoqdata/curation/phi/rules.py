"""All rules over one text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from itertools import chain

from qoqdata.curation.phi import (
    addresses,
    ages,
    chinese,
    dates,
    hospitals,
    names,
    network,
    numbers,
)
from qoqdata.curation.phi.rule import Span
from qoqdata.curation.phi.screen import Screen

#: Raise it when a rule or list changes: what was scanned under older ones is scanned again.
RULES_VERSION = 4

#: Rules that are one pattern each. Most names, and mail, are found by walks.
RULES = tuple(
    rule
    for module in (names, chinese, dates, ages, numbers, network, addresses, hospitals)
    for rule in module.RULES
)
_SCREEN = Screen(RULES)

#: A letter with the marks that follow it.
_LETTER = re.compile("(?s:.)[\u0300-\u036f]*")


def find(text: str) -> tuple[Span, ...]:
    """What the rules find in a text, sorted by place; spans of one rule do not overlap.

    Letters and marks that Unicode writes apart count as one, as NFC has them.
    """
    plain, places_of = _composed(text)
    found: Iterable[Span] = chain(names.find(plain), network.find_mail(plain), _SCREEN.find(plain))
    if places_of is not None:
        found = (Span(s.rule, places_of[s.start], places_of[s.end]) for s in found)
    return merged(found)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans without those that overlap another of the same rule; the union stands for both."""
    done: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        own = done.setdefault(span.rule, [])
        if own and span.start < own[-1].end:
            own[-1] = Span(span.rule, own[-1].start, max(own[-1].end, span.end))
        else:
            own.append(span)
    return tuple(sorted((s for own in done.values() for s in own), key=lambda s: (s.start, s.rule)))


def _composed(text: str) -> tuple[str, list[int] | None]:
    """The text in NFC, and where each of its characters, and its end, is in `text`."""
    if unicodedata.is_normalized("NFC", text):
        return text, None
    parts, where = [], []
    for match in _LETTER.finditer(text):
        part = unicodedata.normalize("NFC", match[0])
        parts.append(part)
        where += [match.start()] * len(part)
    return "".join(parts), [*where, len(text)]
