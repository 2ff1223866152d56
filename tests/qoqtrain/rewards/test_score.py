"""The contract of `score`: what comes back, for whom, and what is refused."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qoqtrain
from qoqdata.errors import InputError, UsageError
from qoqtrain.rewards import (
    PARTS,
    PRESETS,
    Truth,
    columns,
    score,
    success,
    tally,
    truth_of,
    truth_of_record,
)

OPTIONS = ["Melanoma", "Nevus", "Basal Cell Carcinoma"]
REGION = {"label": "lesion", "image": 0, "x_min": 10, "y_min": 10, "x_max": 50, "y_max": 50}
TRUTH = {"answer": "Melanoma", "options": OPTIONS, "regions": [REGION], "stored_sizes": [(99, 99)]}
BLOCK = '```json\n[{"bbox_2d": [10, 10, 50, 50], "label": "Melanoma"}]\n```'
GOOD = f"<think>{'many words of reasoning ' * 25}</think>\n{BLOCK}\n\\boxed{{Melanoma}}"

RESPONSES = st.one_of(
    st.text(max_size=60),
    st.builds(
        lambda think, boxes, answer: (
            f"{think}```json\n"
            + json.dumps([{"bbox_2d": box, "label": "Nevus"} for box in boxes])
            + f"\n```\\boxed{{{answer}}}"
        ),
        st.sampled_from(["", "<think>a b c</think>", "<think>"]),
        st.lists(st.lists(st.integers(-20, 120), min_size=3, max_size=4), max_size=3),
        st.sampled_from(["Melanoma", "nevus", "", "A", "Melanoma, Nevus"]),
    ),
)
TRUTHS = st.sampled_from(
    [
        TRUTH,
        {"answer": "Nevus"},
        {"answer": "Melanoma, Nevus", "options": OPTIONS, "regions": []},
        {"answer": "free words", "kind": "open"},
        {"answer": "Nevus", "masks": [np.eye(99, dtype=np.uint8)]},
        {"regions": [REGION]},
    ]
)


def test_a_perfect_response_earns_everything_under_every_preset() -> None:
    for preset in PRESETS:
        (ours,) = score([GOOD], [TRUTH], preset)
        assert ours["overall"] == pytest.approx(1.0)
        assert [ours[part] for part in PARTS] == [pytest.approx(1.0)] * 4
        assert set(ours["status"].values()) == {"ok"} and ours["reason"] == {}
        assert ours["prediction"] == "Melanoma" and ours["labels"] == ["Melanoma"]
    assert qoqtrain.rewards.score is score


def test_results_are_plain_json() -> None:
    results = score([GOOD, "nothing"], [TRUTH, {"answer": "Nevus"}])
    assert json.loads(json.dumps(results)) == results
    assert set(results[0]) == {
        *PARTS,
        "overall",
        "status",
        "reason",
        "prediction",
        "labels",
        "number",
    }


@pytest.mark.parametrize(
    ("preset", "weights"),
    [
        ("qoq_med_code", (0.5, 0.3, 0.1, 0.1)),
        ("paper", (0.6, 0.2, 0.2, 0.0)),
        ("mirl", (0.6, 0.2, 0.1, 0.1)),
        ("accuracy", (1.0, 0.0, 0.0, 0.0)),
    ],
)
def test_weights_of_the_presets(preset: str, weights: tuple[float, ...]) -> None:
    """Each part alone, on responses where exactly the others fail."""
    wrong = "\\boxed{Nevus}"
    think = "<think>" + "many words of reasoning " * 25 + "</think>"
    far = BLOCK.replace("[10, 10, 50, 50]", "[60, 60, 90, 90]").replace("Melanoma", "Nevus")
    responses = {
        "answer": "\\boxed{Melanoma}",
        "grounding": BLOCK.replace('"label"', '"name"').replace("json", "", 1) + wrong,
        "format": f"<think>short</think>{far}{wrong}",
        "length": f"{think}{wrong}",
    }
    for part, weight in zip(PARTS, weights, strict=True):
        (ours,) = score([responses[part]], [TRUTH], preset)
        others = sum(w * ours[p] for p, w in zip(PARTS, weights, strict=True) if p != part)
        assert ours[part] >= 0.3
        assert ours["overall"] == pytest.approx(weight * ours[part] + others)
    (answer,) = score([responses["answer"]], [TRUTH], preset)
    assert answer["overall"] == pytest.approx(weights[0])


def test_weights_and_rules_can_be_set_and_are_checked() -> None:
    (ours,) = score([GOOD], [TRUTH], weights={"answer": 1, "length": 1})
    assert ours["overall"] == 1.0
    half = score(["\\boxed{Melanoma}"], [TRUTH], weights={"answer": 1, "length": 1})
    assert half[0]["overall"] == pytest.approx(0.5)
    for changes in (
        {"weights": {"style": 1}},
        {"weights": (1, 1, 1)},
        {"weights": (0, 0, 0, 0)},
        {"weights": (1, 1, 1, -1)},
        {"weights": (1, 1, 1, math.nan)},
        {"grounding_rule": "mean"},
        {"format_rule": "strict"},
        {"text_measure": "bleu"},
        {"think_share": 2},
        {"full_words": 0},
        {"unheard_of": 1},
    ):
        with pytest.raises(UsageError):
            score([GOOD], [TRUTH], **changes)
    with pytest.raises(UsageError, match="no reward preset"):
        score([GOOD], [TRUTH], "qoq_med")


@pytest.mark.parametrize(
    ("responses", "truths", "extra"),
    [
        ([GOOD], [], {}),
        ([GOOD], [TRUTH], {"truncated": []}),
        ([None], [TRUTH], {}),
        ([[{"role": "assistant", "content": GOOD}]], [TRUTH], {}),
        ([GOOD], [None], {}),
        ([GOOD], [TRUTH], {"preset": "authors_qoq_med", "think_share": 0.0}),
    ],
)
def test_wrong_calls_are_refused(responses: Any, truths: Any, extra: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        score(responses, truths, **extra)


def test_an_empty_batch_is_empty() -> None:
    assert score([], []) == []
    assert tally([])["answer"] == {"mean": None, "coverage": None, "statuses": {}}
    assert columns([]).shape == (0, 4)


@given(st.lists(st.tuples(RESPONSES, TRUTHS), max_size=6), st.randoms(use_true_random=False))
def test_a_response_is_scored_by_itself(batch: list[Any], random: Any) -> None:
    """Bounds, and independence of the rest of the batch and its order."""
    results = score([r for r, _ in batch], [t for _, t in batch])
    for ours in results:
        for key in (*PARTS, "overall"):
            assert ours[key] is None or 0.0 <= ours[key] <= 1.0
        assert {p for p in PARTS if ours[p] is None} == {
            p for p in PARTS if ours["status"][p] == "missing_truth"
        }
    order = random.sample(range(len(batch)), len(batch))
    shuffled = score([batch[i][0] for i in order], [batch[i][1] for i in order])
    assert shuffled == [results[i] for i in order]
    assert [score([r], [t])[0] for r, t in batch] == results


@given(
    st.permutations([[10, 10, 50, 50], [60, 60, 90, 90], [0, 0, 9, 9], [5, 5, 5, 9]]),
    st.sampled_from(["matched", "union", "best"]),
)
def test_order_of_claimed_boxes_is_no_matter(boxes: list[list[int]], rule: str) -> None:
    def respond(claimed: list[list[int]]) -> str:
        items = [{"bbox_2d": box, "label": "x"} for box in claimed]
        return f"```json\n{json.dumps(items)}\n```\\boxed{{Melanoma}}"

    first, second = score(
        [respond(boxes), respond(sorted(boxes))], [TRUTH] * 2, grounding_rule=rule
    )
    assert first["grounding"] == pytest.approx(second["grounding"], abs=1e-12)
    assert first["format"] == second["format"]


def test_truths_made_on_the_fly_are_not_mixed_up() -> None:
    """A sequence that builds its items when asked: their ids may come again."""

    class Lazy(list):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            return ({"answer": f"label {i}"} for i in range(50))

    results = score([f"\\boxed{{label {i}}}" for i in range(50)], Lazy([None] * 50))
    assert [ours["answer"] for ours in results] == [1.0] * 50


def test_unreadable_responses_are_counted() -> None:
    responses = [GOOD, "", "\\boxed{Nevus", "```json\n[{'bbox_2d'\n```\\boxed{Nevus}"]
    results = score(responses, [TRUTH] * 4)
    counts = tally(results)
    assert counts["answer"]["statuses"] == {"no_answer": 2, "ok": 2}
    assert counts["answer"]["mean"] == pytest.approx(1 / 4)
    assert counts["grounding"]["statuses"] == {"no_boxes": 2, "ok": 1, "unparsable": 1}
    assert all(sum(part["statuses"].values()) == 4 for part in counts.values())
    assert results[1]["overall"] == results[2]["overall"] == 0.0
    assert "does not parse" in results[3]["reason"]["grounding"]


def test_missing_truth_is_counted_apart_and_its_weight_shared() -> None:
    results = score([GOOD] * 2, [TRUTH, {"answer": "Nevus", "options": OPTIONS}])
    counts = tally(results)
    assert counts["grounding"]["coverage"] == 0.5 and counts["grounding"]["mean"] == 1.0
    assert results[1]["overall"] == 0.0
    (sum_of_parts,) = score([GOOD], [{"answer": "Nevus", "options": OPTIONS}], "qoq_med_code")
    assert sum_of_parts["overall"] == pytest.approx((0.1 + 0.1) / 0.7)
    values = columns(results)
    assert values.shape == (2, 4)
    assert np.isnan(values[1, 1]) and not np.isnan(np.delete(values.ravel(), 5)).any()
    np.testing.assert_array_equal(success(results), [1.0, 0.0])
    np.testing.assert_array_equal(columns(results, ["length", "answer"])[:, 1], [1.0, 0.0])


def test_binary_format_wants_a_box_for_every_label() -> None:
    def value(boxes: str, answer: str) -> float:
        response = f"<think>x</think>```json\n{boxes}\n```\\boxed{{{answer}}}"
        return score([response], [TRUTH], "paper")[0]["format"]

    nevus = '{"bbox_2d": [1, 2, 3, 4], "label": "nevus."}'
    melanoma = '{"bbox_2d": [1, 2, 3, 4], "label": "Melanoma"}'
    assert value(f"[{nevus}, {melanoma}]", "Melanoma, Nevus") == 1.0
    assert value(f"[{nevus}]", "Melanoma, Nevus") == 0.0
    assert value(f"[{nevus}, {melanoma}]", "Nevus") == 1.0
    assert value("[]", "Nevus") == value(f"[{nevus}]", "") == value(f"[{nevus}", "Nevus") == 0.0
    assert value('[{"bbox_2d": [1, 2, 3], "label": "Nevus"}]', "Nevus") == 0.0


def test_a_record_gives_its_truth() -> None:
    record = {
        "id": "r1",
        "source": "s",
        "kind": "multi",
        "answer": "Melanoma",
        "options": OPTIONS,
        "labels": ["Melanoma", "Nevus"],
        "image_info": [{"width": 99, "height": 98, "original_width": 990, "view": None}],
        "regions": [{**REGION, "area": None, "reader": None}],
        "masks": None,
    }
    truth = truth_of_record(record, seen_sizes=[(198, 196)])
    doubled = GOOD.replace("[10, 10, 50, 50]", "[20, 20, 100, 100]")
    assert score([doubled], [truth])[0]["overall"] == 1.0
    assert (truth.kind, truth.stored_sizes) == ("multi", ((99.0, 98.0),))
    assert truth_of_record({**record, "image_info": None}).stored_sizes is None
    # One right label does not say that one is asked for: the record's kind does.
    two = ["\\boxed{Melanoma, Nevus}"]
    assert score(two, [truth])[0]["answer"] == pytest.approx(2 / 3)
    assert score(two, [truth_of_record({**record, "kind": "single"})])[0]["answer"] == 0.0
    with pytest.raises(UsageError, match="truth_of_record"):
        score([GOOD], [record])
    with pytest.raises(InputError, match="record r1"):
        truth_of_record({**record, "regions": [{**REGION, "x_max": 1}]})


def test_truth_forms_are_the_same() -> None:
    built = truth_of(TRUTH)
    assert truth_of(built) is built and isinstance(built, Truth)
    for given_truth in (TRUTH, built):
        assert score([GOOD], [given_truth])[0]["overall"] == 1.0
    assert score([GOOD], ["Melanoma"])[0]["answer"] == 1.0
    with pytest.raises(InputError, match=r"truths\[1\]"):
        bad = Truth(answer="A", regions=(), frame="thousandths")
        score([GOOD, GOOD], [TRUTH, bad])


def test_what_questions_share_is_read_once_and_changes_nothing() -> None:
    """Options in common, answers in common, neither, and the same words under other options."""
    truths = [
        {"answer": "Melanoma", "options": OPTIONS},
        {"answer": "Nevus", "options": OPTIONS},
        {"answer": "Nevus", "options": OPTIONS[::-1]},
        {"answer": "Nevus"},
        {"answer": "Nevus", "kind": "open"},
        {"answer": "Nevus", "labels": ["Nevus", "Melanoma"], "options": OPTIONS},
    ]
    texts = ["\\boxed{B}", "\\boxed{Nevus}", "\\boxed{Nevus, Melanoma}", "\\boxed{b}"]
    pairs = [(text, truth) for truth in truths for text in texts]
    together = score([text for text, _ in pairs], [dict(truth) for _, truth in pairs], "accuracy")
    alone = [score([text], [truth], "accuracy")[0] for text, truth in pairs]
    assert together == alone
    assert [row["answer"] for row in together[:8]] == [0.0, 0.0, 2 / 3, 0.0, 1.0, 1.0, 2 / 3, 1.0]


def test_the_package_is_light() -> None:
    """Neither torch nor scipy is loaded until a mask or an assignment asks for it."""
    code = (
        "import sys, qoqtrain; s = qoqtrain.rewards.score; s(['\\\\boxed{A}'], ['A']);"
        "print([m for m in ('torch', 'scipy', 'pandas', 'polars') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.strip() == "[]"
