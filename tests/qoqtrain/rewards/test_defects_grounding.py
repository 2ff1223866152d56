"""Each defect of the published reward: its formula breaks a property that ours keeps.

R1 to R5: boxes, annotation and fences.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from qoqtrain.rewards import score, success
from tests.qoqtrain.rewards.responses import THINK, one, region, respond


def iou(a: list[float], b: list[float]) -> float:
    """Continuous IoU of two boxes; the building block of several published formulas."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (areas - width * height)


def test_r1_a_second_box_does_not_void_the_first() -> None:
    boxes, truth = [[10, 10, 50, 50], [100, 100, 120, 120]], [10, 10, 50, 50]

    def old(claimed: list[list[float]], gold: Any) -> float:
        try:
            total = 0.0
            for box in claimed:
                gold = gold.tolist()
                total += iou(box, gold)
            return total / len(claimed)
        except AttributeError:
            return 0.0

    assert old(boxes[:1], np.array(truth)) == 1.0
    assert old(boxes, np.array(truth)) == 0.0
    ours = one(respond("A", boxes), {"answer": "A", "regions": [region(*truth)]})
    assert ours["grounding"] == pytest.approx(2 / 3)


def test_r2_several_regions_are_matched_one_to_one() -> None:
    first, second, stray = [10, 10, 50, 50], [100, 10, 140, 50], [60, 60, 90, 90]
    mask = np.zeros((150, 150), np.uint8)
    mask[10:50, 10:50] = mask[10:50, 100:140] = 1

    def old(boxes: list[list[int]]) -> float:
        scores = []
        for x1, y1, x2, y2 in boxes:
            drawn = np.zeros_like(mask)
            drawn[y1:y2, x1:x2] = 1
            scores.append((drawn & mask).sum() / (drawn | mask).sum())
        return float(np.mean(scores))

    truth = {"answer": "A", "masks": [mask]}

    def ours(boxes: list[list[int]]) -> float:
        return one(respond("A", boxes), truth)["grounding"]

    # Exact boxes on both regions earn no more than one that misses a region.
    assert old([first, second]) == old([first]) == 0.5
    assert ours([first, second]) == 1.0
    assert ours([first]) == pytest.approx(2 / 3)
    assert ours([first, second, stray]) == pytest.approx(4 / 5)
    assert ours([]) == 0.0


def test_r2_pieces_of_one_region_can_be_scored_by_their_union() -> None:
    top, bottom, whole = [10, 10, 50, 30], [10, 30, 50, 50], [10, 10, 50, 50]
    old = np.mean([iou(top, whole), iou(bottom, whole)])
    assert old == 0.5
    truth = {"answer": "A", "regions": [region(*whole)]}
    ours = one(respond("A", [top, bottom]), truth, grounding_rule="union")
    assert ours["grounding"] == pytest.approx(1.0)


def test_r2_boxes_can_be_tied_to_their_labels() -> None:
    truth = {"answer": "A", "regions": [region(10, 10, 50, 50)]}
    right, wrong = respond("A", [[10, 10, 50, 50]]), respond("A", [[10, 10, 50, 50]], "rib")
    assert one(wrong, truth)["grounding"] == 1.0
    assert one(wrong, truth, labelled_boxes=True)["grounding"] == 0.0
    assert one(right, truth, labelled_boxes=True)["grounding"] == 1.0


def test_r3_annotation_coverage_moves_neither_difficulty_nor_the_ceiling() -> None:
    responses = [respond("A", [[10, 10, 50, 50]]), respond("B", [[10, 10, 50, 50]])]
    plain, annotated = {"answer": "A"}, {"answer": "A", "regions": [region(10, 10, 50, 50)]}

    def old(answer: float, grounding: float) -> float:
        return 0.5 * answer + 0.3 * grounding + 0.1 + 0.1

    assert old(1, 0) == pytest.approx(0.7) and old(1, 1) == pytest.approx(1.0)
    without, with_truth = score(responses, [plain] * 2), score(responses, [annotated] * 2)
    assert without[0]["overall"] == with_truth[0]["overall"] == 1.0
    assert [r["status"]["grounding"] for r in without] == ["missing_truth"] * 2
    np.testing.assert_array_equal(success(without), success(with_truth))
    np.testing.assert_array_equal(success(without), [1.0, 0.0])


@pytest.mark.parametrize("case", ["zero_mask_zero_bbox", "no_gt_region"])
def test_r3_no_annotation_has_a_status_of_its_own(
    case: str, vectors: dict[str, Any], truth_of_case: Any
) -> None:
    ours = one(vectors[case]["response"], truth_of_case(vectors[case]))
    assert vectors[case]["expected"]["qoq_med"]["iou_score"] == 0.0
    assert ours["grounding"] is None and ours["status"]["grounding"] == "missing_truth"


def test_r4_masks_and_boxes_share_one_convention() -> None:
    """Truth of columns 65-159, rows 85-113; the claim of the vectors, 7 right and 3 down."""
    claim, truth = [72, 88, 166, 116], [65, 85, 159, 113]
    mask = np.zeros((224, 224), np.uint8)
    mask[85:114, 65:160] = 1

    def old_mask(box: list[int]) -> float:
        drawn = np.zeros_like(mask)
        drawn[box[1] : box[3] + 1, box[0] : box[2] + 1] = 1
        return float((drawn & mask).sum() / (drawn | mask).sum())

    assert old_mask(claim) == pytest.approx(0.710117936)
    assert iou(claim, truth) == pytest.approx(0.704111363)
    boxed = {"answer": "A", "regions": [region(65, 85, 160, 114)], "stored_sizes": [(224, 224)]}
    masked = {"answer": "A", "masks": [mask]}
    for inclusive in (False, True):
        for corners in (claim, claim[2:] + claim[:2], [72.4, 88.6, 166.1, 116.9]):
            values = [
                one(respond("A", [corners]), t, inclusive_boxes=inclusive)["grounding"]
                for t in (boxed, masked)
            ]
            assert values[0] == pytest.approx(values[1], abs=1e-12)
    ours = one(respond("A", [claim]), masked, inclusive_boxes=True)["grounding"]
    assert ours == pytest.approx(0.710117936)


def test_r4_swapped_corners_are_the_same_box(vectors: dict[str, Any], truth_of_case: Any) -> None:
    claim, truth = [159, 113, 65, 85], [65, 85, 159, 113]
    old = 0.0 if not (claim[0] < claim[2] and claim[1] < claim[3]) else iou(claim, truth)
    assert old == vectors["swapped_corners_bbox"]["expected"]["qoq_med"]["iou_score"] == 0.0
    for case in ("swapped_corners_bbox", "swapped_corners_mask"):
        ours = one(
            vectors[case]["response"],
            truth_of_case(vectors[case]),
            inclusive_boxes=bool(vectors[case]["mask"]),
        )
        assert ours["grounding"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    "block",
    [
        "```json {items}```",
        "```json \n{items}\n```",
        "and here: ```json\n{items}\n```",
        "```JSON\n{items}\n```",
        "  ```json\n{items}\n  ```",
    ],
)
def test_r5_a_fence_is_a_fence_wherever_it_stands(block: str) -> None:
    items = '[{"bbox_2d": [10, 10, 50, 50], "label": "lesion"}]'
    truth = {"answer": "A", "regions": [region(10, 10, 50, 50)]}

    def old(text: str) -> bool:
        return "```json" in text.split("\n")

    def response(form: str) -> str:
        return f"{THINK}\n{form.replace('{items}', items)}\n\\boxed{{A}}"

    clean = "```json\n{items}\n```"
    assert old(response(clean)) and not old(response(block))
    ours, expected = one(response(block), truth), one(response(clean), truth)
    assert ours["grounding"] == expected["grounding"] == 1.0
    assert ours["format"] == expected["format"] == 1.0


def test_r5_json_needs_no_fence_to_be_read() -> None:
    response = f'{THINK}\n[{{"bbox_2d": [10, 10, 50, 50], "label": "x"}}]\n\\boxed{{A}}'
    assert re.findall("```(?:json)?(.*?)```", response, re.DOTALL) == []
    ours = one(response, {"answer": "A", "regions": [region(10, 10, 50, 50)]})
    assert ours["grounding"] == 1.0
    assert ours["format"] == pytest.approx(0.7)  # all but the fence and its tag


def test_r5_an_apostrophe_belongs_to_the_label() -> None:
    block = "[{'bbox_2d': [10, 10, 50, 50], 'label': 'patient's lung'}]"
    with pytest.raises(ValueError):
        json.loads(block.replace("'", '"'))
    truth = {"answer": "A", "regions": [region(10, 10, 50, 50, label="Patient's lung")]}
    ours = one(f"{THINK}\n```json\n{block}\n```\n\\boxed{{A}}", truth, labelled_boxes=True)
    assert ours["grounding"] == 1.0 and ours["format"] == pytest.approx(0.9)
