"""The gated reward pays for answers only; silence, filler and form alone earn nothing."""

from __future__ import annotations

import pytest

from qoqtrain.rewards import score
from qoqtrain.rewards.scheme import DEFAULT_PRESET
from tests.qoqtrain.rewards.responses import region, respond

NORMAL = {"answer": "Normal", "regions": []}
LESION = {
    "answer": "Melanoma",
    "options": ["Melanoma", "Nevus"],
    "regions": [region(10, 10, 50, 50)],
    "stored_sizes": [(99, 99)],
}


def overall(response: str, truth: object, preset: str = DEFAULT_PRESET) -> float | None:
    return score([response], [truth], preset)[0]["overall"]


@pytest.mark.parametrize("response", ["", "asdf", "x" * 700, "word " * 200, r"\boxed{}"])
def test_nothing_is_paid_for_saying_nothing(response: str) -> None:
    assert overall(response, NORMAL) == 0.0
    assert overall(response, LESION) == 0.0
    # The published sum pays for the empty list and for length.
    assert (overall(response, NORMAL, "qoq_med_code") or 0) >= 0.29


def test_boxes_and_form_add_to_a_right_answer_only() -> None:
    box = [[10, 10, 50, 50]]
    assert overall(respond("Nevus", box), LESION) == 0.0
    assert overall(respond("Melanoma", box), LESION) == pytest.approx(1.0)
    # Half the box: 0.6 + 0.3 * 0.5 + 0.1.
    assert overall(respond("Melanoma", [[10, 10, 30, 50]]), LESION) == pytest.approx(0.85)
    assert overall(respond("Melanoma"), LESION) == pytest.approx(0.6)


def test_parts_count_in_the_measure_of_a_partly_right_answer() -> None:
    truth = {**LESION, "answer": "Melanoma, Nevus"}
    # F1 of one of two labels is 2/3: 2/3 * (0.6 + 0.3 + 0.1).
    assert overall(respond("Melanoma", [[10, 10, 50, 50]]), truth) == pytest.approx(2 / 3)


def test_length_is_no_reward() -> None:
    short, long = r"<think>a</think>\boxed{Normal}", respond("Normal")
    assert overall(short, NORMAL) == overall(long, NORMAL)


def test_where_boxes_are_the_answer_they_are_the_gate() -> None:
    truth = {"regions": [region(10, 10, 50, 50)], "kind": "boxes", "stored_sizes": [(99, 99)]}
    # Weights 0.3 and 0.1 are what is left.
    assert overall(respond("-", [[10, 10, 50, 50]]), truth) == pytest.approx(1.0)
    assert overall(respond("-", [[60, 60, 90, 90]]), truth) == 0.0
    nothing = {"regions": [], "kind": "boxes", "stored_sizes": [(99, 99)]}
    assert overall(respond("-", []), nothing) == pytest.approx((0.3 + 0.1 * 0.6) / 0.4)
    assert overall("", nothing) == 0.0


def test_a_record_without_any_truth_has_no_reward() -> None:
    assert overall(respond("Melanoma", []), {"answer": None}) is None
