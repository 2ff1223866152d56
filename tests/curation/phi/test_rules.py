"""What the PHI rules find and what they leave alone, in several languages and in linear time."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.curation.phi import Span, find
from qoqdata.curation.phi.language import UNKNOWN, language_of
from qoqdata.curation.phi.rules import RULES, merged
from qoqdata.curation.phi.words import one_of
from tests.curation.phi.measured import ALL, measure, sentences

FOUND = [
    ("email", "write to jane.doe+x@hospital.example.org today"),
    ("url", "see https://pacs.hospital.org/123"),
    ("ip_address", "sent from 192.168.10.7"),
    ("phone", "call (030) 450-5500 at night"),
    ("phone", "call +49 170 123 4567"),
    ("phone", "fax 555-123-4567"),
    ("national_id", "SSN 078-05-1120"),
    ("record_number", "MRN: 00123456"),
    ("record_number", "accession number A1234567"),
    ("date", "seen on 2019-03-14"),
    ("date", "seen on 3/14/2019"),
    ("date", "seen on 14.03.19"),
    ("date", "seen on March 14, 2019"),
    ("date", "seen on 14 Mar 2019"),
    ("person", "reported by Dr. Miller"),
    ("person", "Mrs Smith was seen"),
    ("named", "Patient name: Doe"),
    ("old_age", "a 94-year-old woman"),
    ("relative", "His wife Margaret reports falls."),
    ("insurance_number", "Medicare ID 1EG4-TE5-MK73"),
    ("vehicle", "license plate 7ABC123"),
    ("device", "Pacemaker serial number PJN204518H"),
    ("uid", "1.2.840.113619.2.55.3.604688119.971"),
    ("account_name", "Instagram @jenny_w88"),
    ("address", "lives at 482 Maple Avenue"),
    ("town", "resident of Springfield"),
    ("hospital", "Transferred from Mercy General Hospital"),
]

HARMLESS = [
    "No patients are named. Recordings with one signal are left out.",
    "LVEF 35 %, LVIDd 62 mm, aortic root 3.1 cm",
    "T2 signal at L4/5 and C5-C6",
    "nodule of 8 x 12 x 9 mm, SUV 3.4-5.6",
    "heart rate 72, PR 160 ms, QTc 430 ms, axis -30",
    "compared with 2019",
    "a 64-year-old man, BMI 27.5",
    "series 3/4, image 12/120",
    "BP 120/80, ratio 1.5-2.0, 500 Hz, 12 leads",
    "Which of these does the image show?",
    "grade 3/5 power, ASA 2, TNM T2 N0 M0",
    "may be normal; mar. 2 cm",
]

PARTS = ("given", "own", "held", "unseen", "fresh", "third", "last", "fourth")

#: What the text of a finding is, exactly.
PLACES = [
    ("Seen by Dr. Alvarez today.", "person", "Dr. Alvarez"),
    ("患者张伟，男，54岁", "named", "患者张伟"),
    ("vom 17. Januar 2024 an", "date", "17. Januar 2024"),
    ("kontakt müller@klinik.de!", "email", "müller@klinik.de"),
    ("Tel +49 89 4400 73012.", "phone", "Tel +49 89 4400 73012"),
]


@pytest.mark.parametrize(("rule", "text"), FOUND)
def test_found(rule: str, text: str) -> None:
    assert rule in {span.rule for span in find(text)}


@pytest.mark.parametrize("text", HARMLESS)
def test_left_alone(text: str) -> None:
    assert find(text) == ()


@pytest.mark.parametrize(("text", "rule", "wanted"), PLACES)
def test_a_span_holds_the_identifier(text: str, rule: str, wanted: str) -> None:
    assert wanted in {text[s.start : s.end] for s in find(text) if s.rule == rule}


def test_the_sentences_are_many_and_of_many_languages() -> None:
    """Half of each kind, so that neither finding all nor nothing scores."""
    some = sentences()
    assert len({one.text for one in some}) == len(some) > 500
    for part in PARTS:
        of_part = [one for one in some if one.part == part]
        share = sum(one.class_ == "phi" for one in of_part) / len(of_part)
        assert 0.4 < share < 0.67
    for language in ("en", "de", "fr", "es", "zh", "ru", "it", "pt"):
        assert {one.class_ for one in some if one.language == language} == {"phi", "harmless"}


@pytest.mark.parametrize("part", PARTS)
def test_recall_and_precision(part: str) -> None:
    quality = measure()[part, ALL]
    assert quality.recall >= 0.95
    assert quality.precision >= 0.9


@pytest.mark.parametrize("language", ["en", "de", "fr", "es", "zh", "ru", "it", "pt"])
def test_no_language_is_left_behind(language: str) -> None:
    """Over all parts: a language is not carried by the others."""
    parts = [quality for (_, own), quality in measure().items() if own == language]
    assert sum(q.right for q in parts) >= 0.9 * sum(q.phi for q in parts)
    assert sum(q.right for q in parts) >= 0.9 * sum(q.found for q in parts)


def test_case_does_not_hide_what_figures_say() -> None:
    for text in ("MRN: 00123456", "SEEN ON MARCH 14, 2019", "SSN 078-05-1120"):
        assert find(text.lower()) and find(text.upper())


def test_marks_written_apart_change_nothing() -> None:
    text = "Frau Öztürk, José García, am 17. März 2021"
    apart = unicodedata.normalize("NFD", text)
    assert len(apart) > len(text)
    plain = [(s.rule, text[s.start : s.end]) for s in find(text)]
    found = [(s.rule, unicodedata.normalize("NFC", apart[s.start : s.end])) for s in find(apart)]
    assert found == plain != []


def test_the_standards_own_uids_are_nobodys() -> None:
    assert find("SOP class 1.2.840.10008.5.1.4.1.1.2") == ()
    assert find("instance 1.2.840.10009.5.1.4.1.1.2") != ()


def test_check_digits_tell_numbers_from_identifiers() -> None:
    # 12345678 mod 23 is 14, the letter Z; NHS 9434765919 passes mod 11.
    assert find("12345678Z") and not find("12345678A")
    assert find("943 476 5919") and not find("value 143 176 5918")
    assert find("4111 1111 1111 1111") and not find("4111 1111 1111 1112")


def test_spans_of_a_rule_are_joined_where_they_overlap() -> None:
    spans = [Span("date", 3, 8), Span("date", 0, 5), Span("name", 4, 6), Span("date", 8, 9)]
    assert merged(spans) == (Span("date", 0, 8), Span("name", 4, 6), Span("date", 8, 9))


@given(st.text(st.sampled_from("Aa1 .,-/@:^'éß年月王患者\u0301\n"), max_size=60))
def test_spans_lie_in_the_text_and_are_in_order(text: str) -> None:
    spans = find(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert [span.start for span in spans] == sorted(span.start for span in spans)


@given(st.lists(st.text("abc ", min_size=1, max_size=5), min_size=1, max_size=8))
def test_a_trie_takes_what_the_choices_take(choices: list[str]) -> None:
    choices = [" ".join(choice.split()) for choice in choices if choice.strip()] or ["a"]
    pattern = re.compile(one_of(choices))
    for text in (*choices, "", "ab", "cab", "a b"):
        assert bool(pattern.fullmatch(text)) == (text in choices)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("no sign of a mass in the lung", "en"),
        ("kein Nachweis einer Raumforderung in der Lunge", "de"),
        ("pas de masse dans le poumon", "fr"),
        ("sin masa en el pulmón, no se ve", "es"),
        ("双肺清晰", "zh"),
        ("лёгкие чистые", "ru"),
        ("MRN 123", UNKNOWN),
    ],
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert language_of(text) == language


#: Each makes some pattern begin at every place and go on for as long as it may.
ADVERSARIAL = (
    *("a", "A", "aaaa@", "@", "1", "1 ", "1.", "1-", "1/", "Aa ", "A. ", "Dr. ", "Dr. van ", "."),
    *("May 5 ", "a dot ", "www.", "A^", "王", "患者", "12 rue de la ", "Aa Bb Hospital ", "MRN 1 "),
    *("ab:", "+1 ", "(1)", " ", "\n", "e\u0301", "Aa-", "5 Aa Bb ", "her son ", "Smith, ", "ID: A"),
)


def _steps(text: str) -> int:
    """Calls of functions while a text is searched; what patterns do inside is bounded below."""
    count = 0

    def tell(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(tell)
    try:
        find(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_twice_the_text_is_twice_the_work(unit: str) -> None:
    short, long = (_steps(unit * (n // len(unit))) for n in (1_000, 4_000))
    assert long <= 4.5 * short + 200


def _open_ends(pattern: re.Pattern[str]) -> Iterator[object]:
    """Quantifiers of a pattern that have no upper bound."""
    stack: list[object] = [re._parser.parse(pattern.pattern, pattern.flags)]  # type: ignore[attr-defined]
    while stack:
        node = stack.pop()
        if isinstance(node, (tuple, list)) or hasattr(node, "data"):
            parts = list(getattr(node, "data", node))
            if len(parts) == 3 and parts[1] is re._constants.MAXREPEAT:  # type: ignore[attr-defined]
                yield node
            stack += parts


def test_no_pattern_of_a_rule_goes_on_without_bound() -> None:
    """So that from each place of a text a search takes a number of steps that does not grow."""
    assert len(RULES) > 80
    cues = [
        one for rule in RULES for one in (rule.cue.begins, rule.cue.holds, rule.cue.sign) if one
    ]
    patterns = [*(rule.pattern for rule in RULES), *cues]
    assert [one.pattern for one in patterns if any(_open_ends(one))] == []


def test_an_open_pattern_is_told() -> None:
    assert any(_open_ends(re.compile(r"(?:a|[\w.]+)@")))
    assert any(_open_ends(re.compile(r"(?<=x)(?:b*){1,3}")))
    assert not any(_open_ends(re.compile(r"(?:a|[\w.]{1,64})@")))


def test_a_long_word_is_searched() -> None:
    find("a" * 200_000)


@pytest.mark.parametrize("unit", ["aaaa@", "1.", "Dr. "])
def test_a_long_hostile_text_is_searched(unit: str) -> None:
    find(unit * (40_000 // len(unit)))


@pytest.mark.slow
@pytest.mark.parametrize("unit", ADVERSARIAL)
def test_a_megabyte_of_anything_is_searched(unit: str) -> None:
    find(unit * (1_000_000 // len(unit)))


@pytest.mark.parametrize(
    "text",
    [
        "Glucose (mg/dL): 133.4",
        "Urea nitrogen (mg/dl) 23.44",
        "A woman of 90 years or more, in bed",
    ],
)
def test_units_and_classes_of_ages_are_no_identifiers(text: str) -> None:
    assert find(text) == ()
