"""Raw keys are found in every shape; numbers and words that happen to be keys are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.publication.key_search import KeySearch, key_search
from qoqdata.records.raw_keys import pack
from qoqdata.suite.examples import SALT

WORDS = frozenset(["effusion", "heart", "left", "normal", "mass", "with", "shows"])


def search(*keys: str) -> KeySearch:
    return key_search(pack(keys, SALT), SALT, WORDS)


def names(key: str, text: str) -> bool:
    return search(key).naming([text]) == {0}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("PAT001", "Seen with PAT001."),
        ("PAT001", "from PAT001.dcm"),
        ("PAT001", "x-PAT001_2"),
        ("P-001", "see P_001"),
        ("P-001", "P001"),
        ("Jane Roe", "for jane roe, again"),
        ("DOE^JOHN", "DOE^JOHN was seen"),
        ("DOE^JOHN", "Doe John"),
        ("A/1234", "see A/1234"),
        ("#77-31", "(#77-31)"),
        ("Müller-3", "MULLER 3?"),
        ("Muller-3", "M\u00fcller-3"),
        ("pat001", "PAT001"),
        ("q7", "for q7 again"),
        ("7", "Patient 7 was seen"),
        ("7", "patient: 7"),
        ("7", "see patient7"),
        ("7", "7.dcm"),
        ("a1", "ID a1"),
        ("t2", "case t2"),
        ("4711", "MRN: 4711"),
        ("4711", "patient no. 4711"),
        ("4711", "seen (#4711)"),
        ("48213", "seen with 48213."),
        ("PATIENT-0", "Thanks to patient 0 for this"),
        ("1.2.840.113619.2.55.3.604", "uid 1.2.840.113619.2.55.3.604."),
        ("k" + "0123456789" * 9, "the k" + "0123456789" * 9 + ", long"),
        ("PAT001", "xPAT001y"),
        ("PAT001", "患者PAT001的"),
        ("PAT001", "PAT０01"),
        ("PAT001", "PA\u00adT\u200b001"),
        ("123-456-789", "mrn123456789"),
        ("123456789", "on 123-456-789"),
        ("0f" * 16, "0f" * 16),
        ("0f" * 16, f"see {'0f' * 16}"),
        ("Meyer", "Mr. Meyer has"),
        ("b3456", "0f" * 8 + " b3456 " + "0f" * 8),
        ("123456", "is 123456"),
        ("12345678", "is 1234-5678"),
        ("123456789012", "is 1234 5678 9012"),
        ("AB12345", "is ab 12345"),
        ("AB-123", "is ab 123"),
        ("123", "a_123.dcm"),
        ("7", "see 7.dcm"),
        ("123", "see #123"),
    ],
)
def test_a_key_is_found(key: str, text: str) -> None:
    assert names(key, text)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("PAT001", "PAT0012"),
        ("PAT001", "PAT 002"),
        ("123456", "1234567"),
        ("123456", "0123456"),
        ("123456", "12 34 56"),
        ("12345678", "12.34 56.78"),
        ("7", "7 of 12"),
        ("65", "patient 65 years old"),
        ("3", "| patient | 3 | 0 |"),
        ("3", "tooth #3"),
        ("1", "images_part_1.zip"),
        ("t2", "in T2 and FLAIR"),
        ("v1", "lead V1"),
        ("5mm", "of 5mm"),
        ("q7", "seq7uence"),
        ("q7", "a-q 7"),
        ("2019", "in 2019"),
        ("A123", "with a 123"),
        ("normal", "a normal heart"),
        ("meyer", "meyers"),
        ("therapist", "the rapist"),
        ("b3456", "0" * 10 + "b3456" + "f" * 17),
        ("patient7", "patient 70"),
        ("case 5", "case 5 mm"),
        ("ab", "ab and cd"),
        ("b3456", "0" * 12 + "b3456"),
        ("b3456", "b3456" + "f" * 12),
        ("1234567", "is 123-4567"),
        ("12345678901", "is 123 4567 8901"),
        ("AB1234", "is ab 1234"),
        ("12", "x_12.png"),
        ("12", "see #12"),
        ("of7", "one of7 things"),
    ],
)
def test_what_is_no_key_there_is_not_found(key: str, text: str) -> None:
    assert not names(key, text)


def test_five_digits_are_telling_where_few_keys_have_them() -> None:
    dense = search(*(str(10_000 + n) for n in range(91)))
    sparse = search(*(str(10_000 + n) for n in range(90)))
    assert not dense.naming(["10003 records"]) and sparse.naming(["10003 records"])
    assert dense.naming(["patient 10003"])


def test_keys_do_not_reach_from_one_text_into_the_next() -> None:
    assert search("PAT001").naming(["PAT", "001", "PAT001", "a", "PAT00"]) == {2}


def test_own_hashes_are_compared_as_a_whole() -> None:
    digest = "0123456789abcdef" * 2
    assert search(digest).naming([f"{digest}-0.png", digest, digest[::-1], digest * 2]) == {0, 1}
    assert not search("f0123", "def01").naming([digest, f"sha256:{digest}"])


def test_nothing_to_find() -> None:
    assert search().naming(["anything"]) == frozenset()
    assert search("PAT001").naming([]) == frozenset()


#: Letters that no word of WORDS or of identities has alone, and digits.
KEYS = st.from_regex(r"\A[A-Z]{2,8}[-_ ^/#.]?[0-9]{4,8}[-_ ^/#.]?[A-Z]{0,60}\Z")
SEPARATORS = st.sampled_from(["", " ", ". ", "-", "_", "/", ".dcm", "^", "#", "\n", "x", ", "])
SENTENCE = "The heart shows a mass."


@given(KEYS, SEPARATORS, SEPARATORS, st.sampled_from([str, str.lower, str.swapcase]), st.booleans())
def test_any_key_in_any_shape(key, before, after, spelled, unified) -> None:  # type: ignore[no-untyped-def]
    shown = spelled(key)
    if unified:
        shown = "".join("_" if not one.isalnum() else one for one in shown)
    assert names(key, f"{SENTENCE}{before}{shown}{after}{SENTENCE}")


@given(st.lists(st.sampled_from(sorted(WORDS | {"12", "3.5", "mm", "T2", "of", "2019"}))))
def test_medical_text_names_nobody(words: list[str]) -> None:
    keys = ("PAT001", "PATIENT-0", "7", "12", "4711", "123456", "Doe^John", "q7", "1.2.840.99")
    assert search(*keys).naming([" ".join(words)]) == frozenset()
