"""Each defect of the published reward: its formula breaks a property that ours keeps.

R6 to R14: answers, length, thinking, malformed truth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qoqdata.errors import InputError, Misaligned, UsageError
from qoqtrain.rewards import score
from tests.qoqtrain.rewards.responses import THINK, one, region, respond

OPTIONS = ["Melanoma", "Nevus", "Tumor and Stroma", "Pleural Effusion", "No Finding", "None"]


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        ("melanoma", "Melanoma"),
        ("Melanoma.", "Melanoma"),
        ("**Melanoma**", "Melanoma"),
        ("\\text{Melanoma}", "Melanoma"),
        ("B. Nevus", "Nevus"),
        ("(B)", "Nevus"),
        ("B", "Nevus"),
        ("No Findings", "No Finding"),
        ("None", "None"),
    ],
)
def test_r6_spelling_and_markup_do_not_decide(answer: str, truth: str) -> None:
    def old(text: str) -> float:
        return float({text.replace("}", "")} == {truth}) if text != "None" else 0.0

    assert old(answer) == 0.0
    assert one(respond(answer), {"answer": truth, "options": OPTIONS})["answer"] == 1.0


@pytest.mark.parametrize(
    ("answer", "labels"),
    [
        (
            "Melanoma, Pleural Effusion and No Finding",
            ["Melanoma", "Pleural Effusion", "No Finding"],
        ),
        ("Melanoma, Nevus & No Finding", ["Melanoma", "Nevus", "No Finding"]),
        ("Melanoma and Tumor and Stroma", ["Melanoma", "Tumor and Stroma"]),
        ("Tumor and Stroma and Nevus", ["Tumor and Stroma", "Nevus"]),
    ],
)
def test_r7_every_separator_splits_and_labels_survive(answer: str, labels: list[str]) -> None:
    def split(text: str) -> set[str]:
        mark = next(mark for mark in (", ", " and ", " & ", ",", "&") if mark in text)
        return {label.strip() for label in text.split(mark)}

    def old(first: str, second: str) -> float:
        a, b = split(first), split(second)
        return 2 * len(a & b) / (len(a) + len(b))

    assert old(answer, ", ".join(labels)) < 1
    ours = one(respond(answer), {"labels": labels, "options": OPTIONS})
    assert ours["answer"] == 1.0
    assert ours["labels"] == sorted(labels)


def test_r7_a_label_with_a_separator_is_one_label() -> None:
    answer, truth = "Tumor and Nevus", "Tumor and Stroma"

    def old(first: str, second: str) -> float:
        a, b = set(first.split(" and ")), set(second.split(" and "))
        return 2 * len(a & b) / (len(a) + len(b))

    assert old(answer, truth) == 0.5  # half right for a wrong label
    ours = one(respond(answer), {"labels": [truth], "options": OPTIONS})
    assert ours["answer"] == 0.0


def test_r8_filler_earns_no_length() -> None:
    def old(response: str) -> float:
        return 1.0 if len(response) > 600 else 0.001 * len(response)

    filler = "x" * 590 + "\\boxed{A}"
    repeated = "word " * 200 + "\\boxed{A}"
    assert old(filler) < old("x" + filler + "x" * 10) == old(repeated) == 1.0
    assert one(filler, "A")["length"] == 0.0
    assert one(repeated, "A")["length"] <= 0.02
    assert one(respond("A"), "A")["length"] == 1.0


def test_r8_length_has_no_jump() -> None:
    """One word more is worth one 80th at most, where one character was worth 0.4."""

    def old(count: int) -> float:
        return 1.0 if count > 600 else 0.001 * count

    assert old(601) - old(600) == pytest.approx(0.4)
    values = [
        one(" ".join(f"w{i}" for i in range(count)) + " \\boxed{A}", "A")["length"]
        for count in range(200)
    ]
    steps = np.diff(values)
    assert steps.min() >= 0 and steps.max() <= 1 / 80 + 1e-12
    assert values[0] == 0.0 and values[-1] == 1.0


def test_r8_the_thinking_is_checked() -> None:
    """The published format looks at the json alone."""
    block = '```json\n[{"bbox_2d": [10, 10, 50, 50], "label": "x"}]\n```'

    def old(response: str) -> float:
        return 1.0 if block in response else 0.0

    good = f"{THINK}\n{block}\n\\boxed{{A}}"
    faults = {
        "no tags": f"Reasons.\n{block}\n\\boxed{{A}}",
        "empty": f"<think> </think>\n{block}\n\\boxed{{A}}",
        "two": f"{THINK}{THINK}\n{block}\n\\boxed{{A}}",
    }
    assert one(good, "A")["format"] == 1.0
    for name, response in faults.items():
        assert old(response) == 1.0
        ours = one(response, "A")
        assert ours["format"] == 0.5 and "think" in ours["reason"]["format"], name
        assert one(response, "A", think_share=0.0)["format"] == 1.0


def test_r8_an_answer_before_or_inside_the_thinking_is_a_draft() -> None:
    before, inside = f"\\boxed{{A}}{THINK}", "<think>maybe \\boxed{A}</think> I am not sure."

    def old(response: str) -> bool:
        return response[response.rfind("\\boxed{") :].startswith("\\boxed{A}")

    for response in (before, inside):
        assert old(response)
        ours = one(response, "A")
        assert ours["answer"] == 0.0 and ours["status"]["answer"] == "no_answer"
    changed = one("<think>first \\boxed{B}</think> then \\boxed{A}", "A")
    assert changed["answer"] == 1.0


def test_r9_naming_every_label_earns_nothing() -> None:
    options = [f"Finding {i}" for i in range(17)]
    everything = ", ".join(options)

    def old(answer: str, truth: str) -> float:
        a, b = set(answer.split(", ")), {truth}
        return 2 * len(a & b) / (len(a) + len(b))

    assert old(everything, options[0]) == pytest.approx(1 / 9)
    truth = {"answer": options[0], "options": options}
    assert one(respond(everything), truth)["answer"] == 0.0
    assert "hedging" in one(respond(everything), truth)["reason"]["answer"]
    # Where one label is asked for, two are already hedging; else they are half right.
    pair = respond(", ".join(options[:2]))
    assert one(pair, truth)["answer"] == pytest.approx(2 / 3)
    assert one(pair, {**truth, "kind": "single"})["answer"] == 0.0
    assert one(respond(options[0]), {**truth, "kind": "single"})["answer"] == 1.0


@pytest.mark.parametrize(
    ("truth", "error"),
    [
        ({"answer": "A", "regions": [region(50, 10, 10, 50)]}, InputError),
        ({"answer": "A", "regions": [region(float("nan"), 10, 20, 50)]}, InputError),
        ({"answer": "A", "regions": [[10, 10, 50, 50]]}, UsageError),
        ({"regions": [region(10, 10, 50, 50, image=1)], "stored_sizes": [(99, 99)]}, InputError),
        ({"regions": [region(10, 10, 500, 50)], "stored_sizes": [(99, 99)]}, Misaligned),
        ({"answer": "A", "masks": [np.ones((9, 9, 3), np.uint8)]}, InputError),
        ({"masks": [np.ones((9, 9), np.uint8)], "stored_sizes": [(9, 8)]}, Misaligned),
        ({"answer": "A", "regions": [], "seen_sizes": [(99, 99)]}, InputError),
        ({"answer": "A", "regions": [], "frame": "thousandths"}, InputError),
        ({"answer": 3}, UsageError),
        ({"anwser": "A"}, UsageError),
        ({"answer": "A", "options": "A, B"}, UsageError),
        ({"answer": "A", "options": ["a", "A."]}, InputError),
        ({"answer": "A", "seen_sizes": [(0, 4)]}, InputError),
        (7, UsageError),
    ],
)  # fmt: skip
def test_r10_a_malformed_truth_raises_instead_of_scoring_zero(truth: Any, error: type) -> None:
    def old(function: Any) -> float:
        try:
            return function()
        except Exception:
            return 0.0

    def scored() -> float:
        return one(respond("A", [[10, 10, 50, 50]]), truth)["overall"]

    assert old(scored) == 0.0
    with pytest.raises(error) as caught:
        scored()
    assert "truths[0]" in str(caught.value) or "read the same" in str(caught.value)


def test_r10_a_truth_without_an_answer_is_missing_and_not_wrong() -> None:
    old_truth = ""
    assert float({"A"} == {old_truth}) == 0.0
    ours = one(respond("A"), {"regions": [region(10, 10, 50, 50)]})
    assert ours["answer"] is None and ours["status"]["answer"] == "missing_truth"
    assert one(respond("A"), {"answer": ""}, "accuracy")["overall"] is None


def test_r11_the_later_weights_train_grounding_too() -> None:
    truth = {"answer": "A", "regions": [region(10, 10, 50, 50)]}
    hit, miss = respond("A", [[10, 10, 50, 50]]), respond("A", [[60, 60, 90, 90]])

    def old(answer: float, grounding: float, form: float) -> float:
        return 0.5 * answer + 0.3 * 0 * grounding + 0.1 * form

    assert old(1, 1, 1) == old(1, 0, 1) == pytest.approx(0.6)
    values = [one(response, truth, "mirl_batch")["overall"] for response in (hit, miss)]
    assert values[0] == 1.0
    assert values[0] - values[1] == pytest.approx(0.3 / 0.9)


def test_r12_labels_are_compared_whole_and_in_any_order() -> None:
    def old(answer: str, truth: str) -> float:
        a, b = set(answer.lower().split()), set(truth.lower().split())
        return len(a & b) / len(a | b)

    assert old("Lung Lesion", "Lung Opacity") == pytest.approx(1 / 3)
    assert one(respond("Lung Lesion"), "Lung Opacity")["answer"] == 0.0
    assert old("Melanoma, Edema", "Edema, Melanoma") < 1
    assert one(respond("Melanoma, Edema"), "Edema, Melanoma")["answer"] == 1.0


def test_r13_characters_do_not_break_ties_between_right_answers() -> None:
    """GRPO stretches any difference inside a group to unit size."""
    short = "<think>" + "The lesion is dark and irregular. " * 8 + "</think>\\boxed{A}"
    longer = short.replace("irregular", "irregulars", 1)

    def old(response: str) -> float:
        return 0.5 + 0.1 * (1.0 if len(response) > 600 else 0.001 * len(response))

    def advantages(rewards: list[float]) -> np.ndarray:
        values = np.array(rewards)
        return (values - values.mean()) / (values.std(ddof=1) + 1e-6)

    stretched = advantages([old(short), old(longer)])
    assert 0 < abs(old(short) - old(longer)) < 2e-4
    assert np.abs(stretched).min() > 0.6
    ours = [r["overall"] for r in score([short, longer], ["A", "A"])]
    np.testing.assert_array_equal(advantages(ours), 0.0)


@pytest.mark.parametrize("tail", ["", "</think> the answer is \\boxed{Pneu"])
def test_r14_a_response_that_was_cut_off_earns_no_length(tail: str) -> None:
    response = "<think>" + "The scan is read region by region. " * 30 + tail

    def old(text: str) -> float:
        return 0.1 * (1.0 if len(text) > 600 else 0.001 * len(text))

    assert old(response) == pytest.approx(0.1)
    ours = one(response, "Pneumonia")
    assert ours["overall"] == 0.0
    assert ours["status"]["answer"] == ours["status"]["length"] == "no_answer"
    assert "not closed" in ours["reason"]["answer"]


def test_r14_what_the_engine_calls_truncated_earns_neither_format_nor_length() -> None:
    response = respond("A", [[10, 10, 50, 50]])
    whole, cut = score([response] * 2, ["A"] * 2, truncated=[False, True])
    assert (whole["format"], whole["length"]) == (1.0, 1.0)
    assert (cut["format"], cut["length"], cut["answer"]) == (0.0, 0.0, 1.0)
    assert cut["status"]["format"] == cut["status"]["length"] == "truncated"


def test_r14_overlong_reasoning_loses_its_length_again() -> None:
    words = [1_000, 2_000, 2_500, 3_000, 5_000]
    responses = [" ".join(f"w{i}" for i in range(n)) + " \\boxed{A}" for n in words]
    values = [scored["length"] for scored in score(responses, ["A"] * len(words))]
    assert values == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])
