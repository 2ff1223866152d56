"""Raw keys leave hashes that nothing but the same key under the same salt has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.records.identity import Salt
from qoqdata.records.raw_keys import ENTRY, WINDOW, distinct, fingerprints_of, normal, pack

SALT, OTHER = Salt(b"one secret of a site"), Salt(b"another secret of it")


def form(text: str) -> str:
    return "".join(chr(code) for code in normal([text]).codes[:-1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Müller-3", "muller3"),
        ("MU\u0308LLER_3", "muller3"),
        ("Straße ９", "strasse9"),
        ("\u0663 a", "3a"),
        ("p\u00ad1\u200b", "p1"),
        ("患者.7", "患者7"),
        ("-/^#.", ""),
    ],
)
def test_normal_form(text: str, expected: str) -> None:
    assert form(text) == expected


def test_spellings_of_one_key_are_one_key() -> None:
    assert pack(["P-001", "p_001", "P 001"], SALT).size == 1
    joined = {entry["joined"] for entry in pack(["P-001", "p001"], SALT)}
    assert len(joined) == 1


def test_hashes_depend_on_the_salt() -> None:
    one, two = pack(["PAT001"], SALT)[0], pack(["PAT001"], OTHER)[0]
    assert all(one[name] != two[name] for name in ("window", "joined", "spelled"))


def test_keys_without_letters_and_digits_have_no_entry() -> None:
    assert pack(["...", "", " "], SALT).size == 0
    assert pack([], SALT).dtype == ENTRY


def test_entries_are_distinct_and_sorted() -> None:
    twice = np.concatenate([pack(["a1", "b2"], SALT), pack(["b2"], SALT)])
    assert np.array_equal(distinct(twice), pack(["b2", "a1"], SALT))


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x24F)), st.text(), st.text())
def test_a_window_over_a_text_has_the_fingerprint_of_the_key(key: str, before: str, after: str):
    for entry in pack([key], SALT):
        window = min(int(entry["length"]), WINDOW)
        codes = normal([before, key, after]).codes
        ((_, prints),) = fingerprints_of(SALT).windows(codes, [window])
        assert entry["window"] in prints
