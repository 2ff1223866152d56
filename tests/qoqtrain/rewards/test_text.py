"""Similarity of open answers."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqtrain.rewards import score
from qoqtrain.rewards.text import exact, rouge_l, token_f1, words

SENTENCES = st.lists(st.sampled_from("abcd"), max_size=90).map(" ".join)


def longest_common(a: list[str], b: list[str]) -> int:
    """The textbook table."""
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = (
                table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
            )
    return table[-1][-1]


@given(SENTENCES, SENTENCES)
def test_rouge_l_is_the_textbook_one(first: str, second: str) -> None:
    a, b = first.split(), second.split()
    expected = 2 * longest_common(a, b) / (len(a) + len(b)) if a or b else 1.0
    assert rouge_l(first, second) == pytest.approx(expected)
    assert rouge_l(second, first) == pytest.approx(expected)
    assert rouge_l(first, first) == 1.0


@given(SENTENCES, SENTENCES)
def test_token_f1_counts_shared_words(first: str, second: str) -> None:
    a, b = Counter(first.split()), Counter(second.split())
    shared = sum(min(a[word], b[word]) for word in a)
    expected = 2 * shared / (a.total() + b.total()) if a or b else 1.0
    assert token_f1(first, second) == pytest.approx(expected)
    assert token_f1(first, second) >= rouge_l(first, second) - 1e-12


def test_by_hand() -> None:
    truth = "A nodule in the right upper lobe."
    assert rouge_l("nodule, right upper lobe", truth) == pytest.approx(2 * 4 / 11)
    assert rouge_l("upper right lobe nodule", truth) == pytest.approx(2 * 2 / 11)
    assert token_f1("upper right lobe nodule", truth) == pytest.approx(2 * 4 / 11)
    assert exact("**A nodule** in the right upper lobe", truth) == 1.0
    assert exact("upper right lobe nodule", truth) == 0.0
    assert rouge_l("", truth) == rouge_l("...", truth) == 0.0
    assert rouge_l("", "") == 1.0


def test_words_of_other_scripts() -> None:
    assert words("右肺上叶 nodule-2") == ["右", "肺", "上", "叶", "nodule", "2"]
    assert words("Ödem, 3.5 cm") == ["ödem", "3", "5", "cm"]


@pytest.mark.parametrize(
    ("measure", "value"), [("rouge_l", 2 * 3 / 8), ("token_f1", 1.0), ("exact", 0.0)]
)
def test_open_answers_are_scored_by_the_named_measure(measure: str, value: float) -> None:
    truth = {"answer": "right upper lobe nodule", "kind": "open"}
    response = "\\boxed{upper right lobe nodule}"
    (ours,) = score([response], [truth], text_measure=measure)
    assert ours["answer"] == pytest.approx(value)
    assert ours["prediction"] == "upper right lobe nodule" and ours["labels"] is None


def test_an_open_answer_needs_its_box_too() -> None:
    (ours,) = score(["right upper lobe"], [{"answer": "right upper lobe", "kind": "open"}])
    assert ours["answer"] == 0.0 and ours["status"]["answer"] == "no_answer"
