"""A cue never hides what its rule finds: every rule against a search of its pattern alone."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qoqdata.curation.phi import find
from qoqdata.curation.phi.cues import RUN, cue, first_run
from qoqdata.curation.phi.names import Walk
from qoqdata.curation.phi.network import find_mail
from qoqdata.curation.phi.rule import Rule, Span, rule
from qoqdata.curation.phi.rules import RULES, merged
from qoqdata.curation.phi.screen import Screen
from qoqdata.curation.phi.words import keyed_words, one_of, words
from tests.curation.phi.measured import sentences

#: Letters that Python takes for one of a to z where case is ignored, figures that are none of 0 to
#: 9, letters that are figures to some, marks, signs of words that are no letters, and of all kinds.
NASTY = "ſKİıµºª²½١۳᠑０９\u0301\u200d_-'’.,:;/()#@＠+^°№\n\t\xa0\u2003éßÄя王月医院年세ー〇aZ07 "


def alone(one: Rule, text: str) -> list[Span]:
    """What a rule finds by its pattern, from the first character to the last."""
    found = [match for match in one.pattern.finditer(text) if one.holds(match)]
    return [Span(one.name, *match.span()) for match in found]


def everything(text: str) -> tuple[Span, ...]:
    """What the rules find where each searches the whole text, in composed letters."""
    walk = Walk(text)
    spans = [span for one in RULES for span in alone(one, text)]
    spans += [span for place in range(len(walk.words)) for span in walk.spans_at(place)]
    return merged([*spans, *find_mail(text)])


def label(one: Rule) -> str:
    return f"{one.name} {one.pattern.pattern[:40]}"


@pytest.mark.parametrize("one", RULES, ids=label)
def test_a_rule_is_tried_where_its_pattern_matches(one: Rule) -> None:
    """Texts are made from the pattern, between characters that could hide or lengthen a run.

    Few of them hold, so runs and signs are looked at for all that match, whatever figures they
    have, and figures for those that hold.
    """
    any_match = replace(one, holds=lambda _match: True, cue=replace(one.cue, figures=0))
    screens = [(each, Screen([each])) for each in (one, any_match)]
    edge = st.text(st.sampled_from(NASTY), max_size=3)
    made = st.tuples(edge, st.from_regex(one.pattern), edge).map("".join)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(made, min_size=1, max_size=2).map("".join))
    def check(text: str) -> None:
        for each, screen in screens:
            assert sorted(screen.find(text)) == alone(each, text)

    check()


#: Words of all lists, so that texts have what several rules look for.
WORDS = sorted(
    {
        word
        for name in ("streets", "places", "hospitals", "calendar", "months", "titles", "chinese")
        for some in keyed_words(name).values()
        for word in some
    }
    | words("telephones")
    | words("relatives")
    | set(sorted(words("first_names"))[::40])
    | set(sorted(words("surnames"))[::40])
)
SENTENCES = [one.text for one in sentences()]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(WORDS),
            st.sampled_from(WORDS).map(str.title),
            st.sampled_from(WORDS).map(str.upper),
            st.sampled_from(SENTENCES),
            st.text("0123456789", min_size=1, max_size=12),
            st.text(st.sampled_from(NASTY), min_size=1, max_size=3),
            st.sampled_from((" ", " ", " ", ", ", ". ", ": ", "-", "/", " at ", " dot ", "00")),
        ),
        max_size=14,
    ).map("".join)
)
def test_all_rules_find_what_each_finds_alone(text: str) -> None:
    if text.isascii() or not re.search("[\u0300-\u036f]", text):
        assert find(text) == everything(text)


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences_of_all_languages_lose_nothing(text: str) -> None:
    assert find(text) == everything(text)


@given(st.text(max_size=80))
def test_any_text_loses_nothing(text: str) -> None:
    if not re.search("[\u0300-\u036f]", text):
        assert find(text) == everything(text)


def _alone(text: str) -> list[Span]:
    return sorted(span for one in RULES for span in alone(one, text))


@pytest.mark.parametrize(
    ("pattern", "wrong", "text"),
    [
        (r"(?<!\w)mrn\s\d{4}", cue(begins="mrm"), "an MRN 1234"),
        (r"\w{1,9}weg\s\d", cue(holds=r"\Aweg"), "Lindenweg 5"),
        (r"(?<!\d)\d{4}-\d", cue(begins=r"\d", figures=6), "1234-5"),
        (r"[月]\d", cue(east=True, sign="年"), "月5"),
        (r"a\^b", cue(sign="b"), ""),
    ],
)
def test_a_wrong_cue_is_told(pattern: str, wrong: object, text: str) -> None:
    """The comparison above fails where a cue asks for more than its pattern."""
    one = rule("some", pattern, cue=wrong)  # type: ignore[arg-type]
    assert (sorted(Screen([one]).find(text)) == alone(one, text)) is (text == "")


@pytest.mark.parametrize(
    "text",
    [
        # Names as long as the pattern lets them be.
        f"{('A' + 'b' * 40 + ' and the ') * 5}Hospital",
        f"A_{'a_' * 14}klinikum Aachen",
        f"A{'.' * 30}{('-A' + '1' * 30) * 3}-Klinik",
        f"A{'.' * 40} weg 5",
    ],
)
def test_a_match_begins_as_far_before_its_run_as_it_may(text: str) -> None:
    of_all = [(one, span) for one in RULES for span in alone(one, text)]
    ((one, span),) = [(one, span) for one, span in of_all if one.cue.reach]
    assert (span.start, span.end) == (0, len(text))
    assert list(Screen([one]).find(text)) == [span]
    nearer = replace(one, cue=replace(one.cue, reach=(one.cue.reach or 0) - 1))
    assert list(Screen([nearer]).find(text)) != [span]


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        *(("1/2/19", 4), ("2019-03", 6), ("3/2019", 5), ("17JAN2019", 6), ("since 1/2", 2)),
        *(("MRN 1234", 4), ("ID: 123456", 6), ("12345678Z", 8), ("078-05-1120", 9)),
        *(("943 476 5919", 10), ("4111 1111 1111 1111", 16), ("+49 170 12", 7), ("tel 1234", 4)),
        *(("call 555-1234", 7), ("(030) 450-550", 9), ("13812345678", 11), ("8 (495) 1 23 45", 9)),
        *(("1.0.0.0.0.0", 6), ("from 1.2.3.4", 4), ("P.O. Box 7 ,", 1), ("Boston, MA 02115", 5)),
        *(("SW3 4RP", 2), ("ABCDEF80A01H501U", 7), ("license plate AB 12", 2), ("rua Lima 5", 1)),
    ],
)
def test_as_few_figures_as_a_rule_needs_are_enough(text: str, figures: int) -> None:
    assert sum(map(str.isdecimal, text)) == figures
    assert find(text) == everything(text) != ()


def test_a_search_goes_on_behind_a_match_that_does_not_hold() -> None:
    one = rule("some", r"(?<!\w)\d \d", lambda match: match[0] != "1 2", cue=cue(begins=r"\d"))
    assert list(Screen([one]).find("1 2 3 4")) == alone(one, "1 2 3 4") == [Span("some", 4, 7)]


def test_runs_are_told_by_kind_and_by_length() -> None:
    assert [run[0] for run in RUN.finditer("T2a_ü-ß ١2 x²")] == [
        "T",
        "2",
        "a",
        "ü",
        "ß",
        "١2",
        "x²",
    ]


def test_the_first_run_of_choices() -> None:
    pattern = re.compile(first_run(["st", "st.", "mount sinai", "n°"], end=""), re.IGNORECASE)
    for run, begins in {"ST": 1, "stone": 1, "mount": 1, "mounts": 0, "n": 1, "no": 0}.items():
        assert bool(pattern.match(run)) == begins, run
    with pytest.raises(ValueError, match="neither letter nor figure"):
        first_run(["#"])
    assert one_of(["st"]) == "st"


def test_what_is_remembered_of_words_changes_nothing() -> None:
    screen = Screen(RULES)
    text = "MRN 00123456, seen 14 March 2019"
    assert sorted(screen.find(text)) == sorted(screen.find(text)) == _alone(text) != []
