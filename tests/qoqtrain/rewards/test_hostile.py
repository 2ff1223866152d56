"""Hostile text: bounded work, no exception, a score of 0 with its reason."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqtrain.rewards import PARTS, score

TRUTH = {
    "answer": "Melanoma, Tumor and Stroma",
    "options": ["Melanoma", "Tumor and Stroma", "Nevus"],
    "regions": [{"label": "x", "image": 0, "x_min": 1, "y_min": 1, "x_max": 9, "y_max": 9}],
    "stored_sizes": [(10, 10)],
}

# Each makes a text of about n characters.
HOSTILE: dict[str, Callable[[int], str]] = {
    "opening braces": lambda n: "{" * n,
    "closing braces": lambda n: "}" * n,
    "brace pairs": lambda n: "{}" * (n // 2),
    "opening brackets": lambda n: "bbox_2d" + "[" * n,
    "nested lists": lambda n: "[" * (n // 2) + "bbox_2d" + "]" * (n // 2),
    "nested objects": lambda n: '{"bbox_2d":' * (n // 11),
    "list starts": lambda n: "[{" * (n // 2) + "bbox_2d",
    "mixed brackets": lambda n: "bbox_2d" + "[{]}" * (n // 4),
    "boxes never closed": lambda n: "\\boxed{" * (n // 7),
    "boxes without braces": lambda n: "\\boxed" * (n // 6),
    "box of braces": lambda n: "\\boxed{" + "{" * (n // 2) + "}" * (n // 2) + "}",
    "box of separators": lambda n: "\\boxed{" + "Tumor and " * 1600 + "}" + " " * (n - 16_000),
    "box of commas": lambda n: "\\boxed{" + "," * 16_000 + "}" + " " * (n - 16_000),
    "box of blanks": lambda n: "\\boxed{A" + " " * 16_000 + "B}" + " " * (n - 16_000),
    "think tags": lambda n: "<think>" * (n // 7),
    "half tags": lambda n: "<think" * (n // 6),
    "closing tags": lambda n: "</think>" * (n // 8),
    "fences": lambda n: "```" * (n // 3),
    "json fences": lambda n: "```json\n[" * (n // 9),
    "broken blocks": lambda n: "```json\n[{'bbox_2d': }]\n```\n" * (n // 27),
    "one broken block": lambda n: "```json\n[" + "'bbox_2d', " * (n // 11) + "\n```",
    "single quotes": lambda n: "```json\n[bbox_2d" + "'" * n + "]\n```",
    "spaced quotes": lambda n: "```json\n[bbox_2d" + "' " * (n // 2) + "]\n```",
    "escapes": lambda n: '```json\n["bbox_2d' + "\\" * n + "]\n```",
    "escaped quotes": lambda n: '```json\n[[[[[[[[[[[[[[[[["' + '\\"' * (n // 2) + "\\```",
    "backquotes": lambda n: "`" * n,
    "blanks": lambda n: " " * n,
    "blanks in fence": lambda n: "```json" + " " * n,
    "line breaks": lambda n: "\n" * n,
    "NUL": lambda n: "\x00" * n,
    "lone surrogates": lambda n: "\ud800" * n,
    "ideographs": lambda n: "\u80ba" * n,
    "expanding": lambda n: "\\boxed{" + "\ufdfa" * 16_000 + "}" + " " * (n - 16_000),
    "combining": lambda n: "\\boxed{a" + "\u0301" * 16_000 + "}" + " " * (n - 16_000),
    "digits": lambda n: '```json\n[{"bbox_2d": [' + "9" * n + "]}]\n```",
    "many boxes": lambda n: "```json\n[" + '{"bbox_2d":[1,2,3,4]},' * (n // 22) + "0]\n```",
    "many numbers": lambda n: '```json\n[{"bbox_2d":[' + "1," * (n // 2) + "1]}]\n```",
}


def steps(work: Callable[[], Any]) -> int:
    """Function calls and returns, of Python and of C, that `work` makes."""
    count = 0

    def counted(*_: Any) -> None:
        nonlocal count
        count += 1

    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_scores_at_most_what_it_earns(name: str) -> None:
    """A quadratic pass over a megabyte takes hours, so this only ends if none exists."""
    (ours,) = score([HOSTILE[name](1_000_000)], [TRUTH], labelled_boxes=True)
    assert all(0.0 <= ours[part] <= 1.0 for part in (*PARTS, "overall"))
    assert ours["answer"] == 0.0
    assert ours["status"]["answer"] in ("no_answer", "unparsable") or ours["prediction"]
    assert ours["overall"] <= 0.25


@pytest.mark.parametrize("name", HOSTILE)
def test_steps_grow_in_line_with_the_text(name: str) -> None:
    score([HOSTILE[name](100)], [TRUTH])
    small, large = (
        steps(lambda text=HOSTILE[name](size): score([text], [TRUTH])) for size in (20_000, 80_000)
    )
    assert large <= 4.2 * small + 200


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_the_published_reference_is_bounded_too(name: str) -> None:
    truth = {**TRUTH, "masks": [np.eye(10, dtype=np.uint8)]}
    (ours,) = score([HOSTILE[name](200_000)], [truth], "authors_qoq_med")
    assert all(0.0 <= ours[part] <= 1.0 for part in (*PARTS, "overall"))


def test_a_response_beyond_all_windows_is_not_read() -> None:
    (ours,) = score(["\\boxed{Melanoma}" + " " * 2_000_000], [TRUTH])
    assert set(ours["status"].values()) == {"unparsable"}
    assert "characters" in ours["reason"]["answer"] and ours["overall"] == 0.0


@given(st.text(st.characters(), max_size=300))
def test_any_text_scores_within_bounds(text: str) -> None:
    for truth in (TRUTH, "A", {"answer": "A", "kind": "open"}):
        for response in (text, f"<think>{text}</think>```json\n{text}```\\boxed{{{text}}}"):
            (ours,) = score([response], [truth], labelled_boxes=True)
            values = [ours[part] for part in (*PARTS, "overall") if ours[part] is not None]
            assert values and all(0.0 <= value <= 1.0 and math.isfinite(value) for value in values)
            unread = {part for part, status in ours["status"].items() if status != "ok"}
            assert unread <= set(ours["reason"]) | {"format"}


GRAMMAR = ["\\boxed{", "}", "{", "<think>", "</think>", "```", "json", "\n", "[", "]", ",", " and "]
GRAMMAR += [
    '"bbox_2d"',
    '"label"',
    ":",
    "'",
    "1",
    "-5",
    "9e9",
    "Melanoma",
    "Tumor",
    "\\text{",
    "**",
]


@given(st.lists(st.sampled_from(GRAMMAR), max_size=80).map("".join))
def test_any_mixture_of_our_own_marks_scores_within_bounds(text: str) -> None:
    for rule in ("matched", "union", "best"):
        (ours,) = score([text], [TRUTH], grounding_rule=rule, format_rule="binary")
        assert all(0.0 <= ours[part] <= 1.0 for part in (*PARTS, "overall"))
