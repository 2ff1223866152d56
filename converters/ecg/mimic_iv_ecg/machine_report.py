"""The lines of a machine's report as labels: what each asserts, and what it only considers.

A line is read word by word with the phrases of `phrases.csv`, the longest first. A word of doubt
(possible, consider, may be due to) makes uncertain whatever follows it in the line or, at its end,
what stands before it; `or` makes uncertain what stands on both its sides. A line with a word that
neither a phrase nor a filler accounts for is not read at all: it may say `no longer`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

#: What phrases are of. A remark says nothing of the heart, a doubt makes uncertain what follows,
#: and a filler joins phrases, or places and grades what they name.
LABELLED = ("rhythm", "finding", "overall", "quality")
_EITHER = "or"
#: Spellings of one statement, in lower case.
_SPELLINGS = (
    (re.compile(r"\b1st\b"), "first"),
    (re.compile(r"\b2nd\b"), "second"),
    (re.compile(r"\b3rd\b"), "third"),
    (re.compile(r"\ba[-.]?v\b\.?"), "av"),
    (re.compile(r"\bi\.?v\.(?=\s)"), "iv"),
    (re.compile(r"\((s)\)"), r"\1"),
    (re.compile(r"['\u2019`\"]"), ""),
    (re.compile(r"[^a-z0-9:]+|:(?![0-9])"), " "),
)


@dataclass(frozen=True)
class Statement:
    """A label that a line gives, of which of LABELLED, and whether the line asserts it."""

    kind: str
    label: str
    certain: bool


@dataclass(frozen=True)
class Report:
    """Labels by kind, each once and certain where any line asserts it, and lines not read."""

    certain: Mapping[str, tuple[str, ...]]
    uncertain: Mapping[str, tuple[str, ...]]
    unread: tuple[str, ...]


def read_report(lines: Iterable[str]) -> Report:
    """What the lines of a report say."""
    found: dict[tuple[str, str], bool] = {}
    unread = []
    for line in lines:
        statements = read_line(line)
        if statements is None:
            unread.append(line)
        for one in statements or ():
            key = (one.kind, one.label)
            found[key] = found.get(key, False) or one.certain

    def of(certain: bool) -> dict[str, tuple[str, ...]]:
        return {
            kind: tuple(
                label for (own, label), sure in found.items() if (own, sure) == (kind, certain)
            )
            for kind in LABELLED
        }

    return Report(of(True), of(False), tuple(unread))


@cache
def read_line(line: str) -> tuple[Statement, ...] | None:
    """The statements of a line, none of a mere remark; None where a word is not accounted for."""
    text = line.lower()
    for spelling, plain in _SPELLINGS:
        text = spelling.sub(plain, text)
    statements: list[tuple[str, str]] = []
    doubts: list[bool] = []
    doubted = trailing = False
    for phrase, (kind, label) in _parsed(text.split()):
        if kind == "unknown":
            return None
        if kind == "doubt":
            doubted = trailing = True
            if phrase == _EITHER:
                doubts = [True] * len(doubts)
        elif kind in LABELLED:
            statements.append((kind, label))
            # A warning is one, however politely it is put. The verdict on the whole is doubted by
            # the word before it alone: what a line considers may be abnormal for sure.
            doubts.append(kind != "quality" and (trailing if kind == "overall" else doubted))
        if kind not in ("doubt", "filler"):
            trailing = False
    if trailing and doubts and statements[-1][0] != "quality":
        doubts[-1] = True
    pairs = zip(statements, doubts, strict=True)
    return tuple(Statement(kind, label, not doubt) for (kind, label), doubt in pairs)


def _parsed(words: list[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Phrases in order with their kind and label; `unknown` for a word of none."""
    at = 0
    longest = max(map(len, _phrases()))
    while at < len(words):
        for size in range(min(longest, len(words) - at), 0, -1):
            part = tuple(words[at : at + size])
            if meaning := _phrases().get(part):
                yield " ".join(part), meaning
                at += size
                break
        else:
            yield words[at], ("unknown", "")
            at += 1


@cache
def _phrases() -> Mapping[tuple[str, ...], tuple[str, str]]:
    with Path(__file__).with_name("phrases.csv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table))
    return MappingProxyType(
        {tuple(row["phrase"].split()): (row["kind"], row["label"]) for row in rows}
    )
