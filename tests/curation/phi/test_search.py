"""Rules tried where they can match alone find what `finditer` finds everywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from qoqdata.curation.phi import rules
from qoqdata.curation.phi.heads import Heads, folded, heads
from qoqdata.curation.phi.rule import Rule
from qoqdata.curation.phi.search import Search

RULES = [
    one
    for module in rules._MODULES
    for value in vars(module).values()
    if isinstance(value, tuple)
    for one in value
    if isinstance(one, Rule)
]
PATTERNS = [rule.pattern for rule in RULES]
SENTENCES = Path(__file__).with_name("sentences.tsv").read_text(encoding="utf-8").splitlines()
ASCII = st.characters(codec="ascii")


def everywhere(patterns: Sequence[re.Pattern[str]], text: str) -> list[tuple[int, tuple[int, int]]]:
    return [(n, match.span()) for n, one in enumerate(patterns) for match in one.finditer(text)]


def searched(patterns: Sequence[re.Pattern[str]], text: str) -> list[tuple[int, tuple[int, int]]]:
    return [(number, match.span()) for number, match in Search(patterns).matches(text)]


def test_sentences() -> None:
    search = Search(PATTERNS)
    found = 0
    for line in SENTENCES:
        for text in (line, line.upper(), line.lower(), line.encode("ascii", "ignore").decode()):
            own = [(number, match.span()) for number, match in search.matches(text)]
            assert own == everywhere(PATTERNS, text), text
            found += len(own)
    assert found > 1000


@pytest.mark.parametrize("pattern", PATTERNS, ids=range(len(PATTERNS)))
def test_texts_made_of_the_pattern(pattern: re.Pattern[str]) -> None:
    """Within others, and twice: what begins where the first ends is found, too."""
    matching = st.from_regex(pattern, alphabet=ASCII)
    try:
        matching.validate()
    except InvalidArgument:
        return  # No ASCII text matches.

    @settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
    @given(matching, st.text(ASCII, max_size=3), matching)
    def check(one: str, between: str, other: str) -> None:
        text = one + between + other
        assert searched([pattern], text) == everywhere([pattern], text)

    check()


@pytest.mark.parametrize(
    ("pattern", "beginnings", "first"),
    [
        (r"(?<!\w)(?:dr|prof)\.", {"dr.", "pro"}, True),
        (r"[12]\d?:", {"0:", "00:"}, True),
        (r"\s{1,3}a", {" a", "  a", "   "}, True),
        (r"(?:ab?)?c", {"ac", "abc", "c"}, True),
        (r"x{2,9}y", {"xxy", "xxx"}, True),
        (r"[^\W\d_]+@[a-z]+", {"@"}, False),
        (r"上海|ſK", {"sk"}, True),
        (r"(?=a)b", {"b"}, True),
        (r"[^b-\U0010ffff\x00-`]c", {"ac"}, True),
    ],
)
def test_heads_by_hand(pattern: str, beginnings: set[str], first: bool) -> None:
    assert heads(re.compile(pattern, re.IGNORECASE)) == Heads(frozenset(beginnings), first)


@pytest.mark.parametrize("pattern", [r"\w+", r"(a?)b?", r"(?:a|\S)+", r"(\w)\1"])
def test_no_heads(pattern: str) -> None:
    assert heads(re.compile(pattern)) is None
    assert searched([re.compile(pattern)], "aa b") or pattern == r"(a?)b?"


@pytest.mark.parametrize("text", ["DR. X", "dr.\x1cx", "ſ k dr. x", "Dr. X dr. Y", "dr", ""])
def test_cases_blanks_and_letters_of_two_forms(text: str) -> None:
    patterns = [re.compile(one, re.IGNORECASE) for one in (r"dr\.\s[xy]", r"s\sk", r"(?<=dr)\.")]
    assert searched(patterns, text) == everywhere(patterns, text)


def test_folding_keeps_the_length() -> None:
    text = "".join(map(chr, range(128)))
    assert len(folded(text)) == 128
    assert folded("Dr.\t Meier 1970") == "dr.  meier 0000"
