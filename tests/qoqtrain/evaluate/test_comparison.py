"""The paired comparison of two policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from qoqdata.errors import UsageError
from qoqtrain.evaluate import QuestionOutcome
from qoqtrain.evaluate.comparison import ScoreDifference, compare


def overall(found: list[ScoreDifference], metric: str = "accuracy") -> ScoreDifference:
    (row,) = (one for one in found if (one.level, one.metric) == ("overall", metric))
    return row


def test_a_policy_does_not_differ_from_itself(singles: Callable) -> None:
    outcomes = singles([0, 1] * 20, [0, 0, 1, 1] * 10, 2)
    for row in compare(outcomes, outcomes[::-1], bootstrap=50):
        assert row.difference.value == row.difference.low == row.difference.high == 0
        assert row.p == 1


def test_pairing_cancels_what_is_hard_for_both(singles: Callable) -> None:
    # The second is right wherever the first is, and on 20 of the other 50: +0.2, of which the
    # paired standard error is sqrt(.2 * .8 / 100) = .04; unpaired it would be .07.
    truth = [0] * 100
    first = singles(truth, [0] * 50 + [1] * 50, 2)
    second = singles(truth, [0] * 70 + [1] * 30, 2)
    row = overall(compare(first, second, bootstrap=2000))
    assert (row.first, row.second) == (0.5, 0.7)
    assert row.difference.value == pytest.approx(0.2)
    assert row.difference.low == pytest.approx(0.2 - 1.96 * 0.04, abs=0.02)
    assert row.difference.high == pytest.approx(0.2 + 1.96 * 0.04, abs=0.02)
    # No draw is on the other side: twice the data's own share of 1 in 2001.
    assert row.p == pytest.approx(2 / 2001)


def test_swapping_the_two_turns_the_sign(singles: Callable) -> None:
    first = singles([0, 1] * 15, [0, 1, 1] * 10, 2)
    second = singles([0, 1] * 15, [0, 0, 1] * 10, 2)
    there, back = (overall(compare(*pair)) for pair in ((first, second), (second, first)))
    assert there.difference.value == -back.difference.value
    assert there.difference.low == pytest.approx(-back.difference.high)
    assert there.p == back.p


def test_levels_are_named(singles: Callable) -> None:
    outcomes: list[QuestionOutcome] = [
        *singles([0, 0], [0, 1], 2, source="one", domain="ct"),
        *singles([0, 0], [0, 1], 2, source="two", domain="ecg"),
    ]
    found = compare(outcomes, outcomes, bootstrap=5)
    names = [(row.level, row.name) for row in found if row.metric == "accuracy"]
    assert names == [
        ("overall", "all"),
        ("over_sources", "all"),
        ("domain", "ct"),
        ("domain", "ecg"),
        ("source", "one"),
        ("source", "two"),
    ]


def test_other_questions_are_refused(singles: Callable) -> None:
    outcomes = singles([0, 1], [0, 1], 2)
    with pytest.raises(UsageError, match="same questions"):
        compare(outcomes, outcomes[:1])
    with pytest.raises(UsageError, match="same questions"):
        compare(outcomes, [replace(outcomes[0], truth=("c1",)), outcomes[1]])
    with pytest.raises(UsageError, match="nothing"):
        compare([], outcomes)
