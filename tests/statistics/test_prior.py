"""The difficulty prior, with its worked numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.statistics.difficulty import PRIOR
from qoqdata.statistics.prior import SCORER, multi_score, prior_difficulty, single_score
from tests.statistics.training_rows import frame, record


def scores(*records: dict, kind: str = "single") -> dict[str, float]:
    table = prior_difficulty(frame(*(one | {"kind": kind} for one in records)))
    return dict(table.select("id", "success_rate").iter_rows())


def test_a_constant_answer_is_easy() -> None:
    assert scores(*(record(n, "y") for n in range(5))) == dict.fromkeys(
        (f"r{n:03d}" for n in range(5)), 1.0
    )


def test_balanced_answers_score_chance() -> None:
    found = scores(*(record(n, "xyz"[n % 3]) for n in range(9)))
    assert list(found.values()) == pytest.approx([1 / 3] * 9)


def test_single_choice_by_hand() -> None:
    """x three times of four, y once, z never; K = 3.

    x: 1 - (2/3) ln(4/3) / ln 3 = 1 - 0.666667 * 0.261860 = 0.825427
    y: 1 - (2/3) ln 4    / ln 3 = 1 - 0.666667 * 1.261860 = 0.158760
    """
    found = scores(record(0, "x"), record(1, "x"), record(2, "x"), record(3, "y"))
    assert found == {
        "r000": pytest.approx(0.825427, abs=1e-6),
        "r001": pytest.approx(0.825427, abs=1e-6),
        "r002": pytest.approx(0.825427, abs=1e-6),
        "r003": pytest.approx(0.158760, abs=1e-6),
    }


def test_a_rare_answer_scores_zero_and_not_less() -> None:
    """K = 3, p = 1/100: 1 - (2/3) * 4.1918 is below 0."""
    found = scores(record(0, "z"), *(record(n, "x") for n in range(1, 100)))
    assert found["r000"] == 0.0


def test_multi_label_by_hand() -> None:
    """x in 3 of 4, y and z in 1 of 4; an option scores 1 + log2(p of its state) / 2.

    So a state of frequency 3/4 scores 0.792481, one of 1/4 scores 0:
    x alone has the states 3/4, 3/4, 3/4; x and y have 3/4, 1/4, 3/4; z alone has 1/4, 3/4, 1/4.
    """
    found = scores(
        record(0, "x"), record(1, "x"), record(2, "x", "y"), record(3, "z"), kind="multi"
    )
    assert found == {
        "r000": pytest.approx(0.792481, abs=1e-6),
        "r001": pytest.approx(0.792481, abs=1e-6),
        "r002": pytest.approx(0.528321, abs=1e-6),
        "r003": pytest.approx(0.264160, abs=1e-6),
    }


def test_the_score_functions() -> None:
    assert single_score(np.array([1.0, 0.5, 0.25]), 2).tolist() == [1.0, 0.5, 0.0]
    assert single_score(np.array([1.0]), 1).tolist() == [1.0]
    present = np.array([[True, False], [True, True]])
    # Option 1 always present: 1. Option 2 in half of them: 1 + log2(1/2) / 2 = 0.5.
    assert multi_score(present).tolist() == [0.75, 0.75]


@given(st.lists(st.sampled_from("xyz"), min_size=1, max_size=40))
def test_scores_lie_between_0_and_1(answers: list[str]) -> None:
    records = [record(n, answer) for n, answer in enumerate(answers)]
    for kind in ("single", "multi"):
        assert all(0 <= score <= 1 for score in scores(*records, kind=kind).values())


@given(st.lists(st.integers(1, 30), min_size=2, max_size=3))
def test_the_mean_of_a_source_is_its_entropy_corrected_for_chance(counts: list[int]) -> None:
    """Where nothing is cut at 0, the mean is 1 - (1 - 1/K) H / log K."""
    total, k = sum(counts), 3
    cut = any(c * k ** (1 / (1 - 1 / k)) < total for c in counts)
    answers = [letter for letter, count in zip("xyz", counts, strict=False) for _ in range(count)]
    found = scores(*(record(n, answer) for n, answer in enumerate(answers)))
    entropy = -sum(c / total * math.log(c / total) for c in counts)
    expected = 1 - (1 - 1 / k) * entropy / math.log(k)
    mean = sum(found.values()) / total
    assert mean >= expected - 1e-9
    if not cut:
        assert mean == pytest.approx(expected)


def test_the_answer_counts_even_where_no_finding_is_listed() -> None:
    found = scores(*(record(n, "y", labels=None) for n in range(4)))
    assert set(found.values()) == {1.0}


def test_tasks_and_sources_are_scored_apart() -> None:
    records = (record(0, "x"), record(1, "y", task="severity"), record(2, "z", source="b"))
    found = scores(*records)
    assert set(found.values()) == {1.0}


def test_a_choice_among_options_of_its_own_scores_chance() -> None:
    """Its answers are never split; four options and two."""
    found = scores(
        record(0, options=["a, b", "c", "d", "e"], answer="a, b"),
        record(1, options=["f", "g and h"], answer="g and h"),
        kind="choice",
    )
    assert found == {"r000": 0.25, "r001": 0.5}


def test_grades_are_scored_like_single_labels() -> None:
    """A number in a unit has no options, and no prior."""
    graded = [record(n, "xxxy"[n]) for n in range(4)]
    measured = record(9, options=None, answer="12 mm")
    assert scores(*graded, measured, kind="number") == scores(*graded)


def test_open_questions_have_no_prior() -> None:
    table = prior_difficulty(frame(record(0, "x"), record(1, options=None, answer="free")))
    assert table["id"].to_list() == ["r000"]


def test_rows_of_the_table() -> None:
    (row,) = prior_difficulty(frame(record(7, "x"))).to_dicts()
    assert row == {
        "id": "r007",
        "rewards": [],
        "success_rate": 1.0,
        "n_rollouts": 0,
        "policy": PRIOR,
        "scorer": SCORER,
    }


def test_no_record_is_an_empty_table() -> None:
    table = prior_difficulty(frame())
    assert table.height == 0
    assert table.columns == ["id", "rewards", "success_rate", "n_rollouts", "policy", "scorer"]
