"""What a person is shown can be seen, and encoded."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢 👍", "plain é 漢 👍"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("gnp\u202e.png", "gnp\\u202e.png"),
        ("caf\udce9", "caf\\udce9"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_may_stay() -> None:
    assert printable("a\nb\r\x00", lines=True) == "a\nb\\r\\x00"


@given(st.text(st.characters()))
def test_any_text_can_be_encoded_and_holds_no_control(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert not any(unicodedata.category(one) in ("Cc", "Zl", "Zp", "Cs") for one in shown)
    assert printable(shown) == shown
