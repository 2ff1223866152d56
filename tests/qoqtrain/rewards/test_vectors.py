"""The reference vectors: values that the authors' functions returned for 75 responses."""

from __future__ import annotations

from typing import Any

import pytest

from qoqtrain.rewards import score

PARTS = {
    "answer": "standard_score",
    "grounding": "iou_score",
    "format": "format_score",
    "length": "length_score",
}

# Where our parts differ from the published ones: (our value, the defect that the other value is).
# Cases without annotation have no grounding at all (R3) and are not repeated here.
DIFFERENT: dict[str, dict[str, tuple[float | None, str]]] = {
    "two_boxes_mask": {"grounding": (2 / 3, "R2: extras cost, but not by the mean")},
    "two_boxes_bbox": {"grounding": (2 / 3, "R1: the second box voids the first")},
    "three_boxes_two_regions": {
        # 95 x 29 and 81 x 54 pixels; the third box of 45 x 81 has 45 x 29 and 38 x 26 of them.
        "grounding": (7129 / (7129 + 3645 - 1305 - 988), "R2: the mean punishes extra boxes")
    },
    "fragments_union": {"grounding": (1.0, "R2: the mean punishes fragments")},
    "zero_mask_zero_bbox": {"grounding": (None, "R3: no annotation is no miss")},
    "swapped_corners_bbox": {"grounding": (1.0, "R4: repaired for masks, 0 for boxes")},
    "string_coords_bbox": {"grounding": (1.0, "R4, R10: read for masks, raises for boxes")},
    "nested_list_of_boxes": {"grounding": (2 / 3, "the prompt's wording asks for it")},
    "apostrophe_label": {"grounding": (1.0, "R5"), "format": (0.9, "R5")},
    "mixed_validity": {"grounding": (2 / 3, "R2")},
    "no_fence": {"grounding": (1.0, "R5"), "format": (0.7, "R5")},
    "inline_fence": {"format": (1.0, "R5")},
    "fence_trailing_space": {"format": (1.0, "R5")},
    "upper_fence": {"grounding": (1.0, "R5"), "format": (1.0, "R5")},
    "fence_mid_line": {"format": (0.5, "R5: 1, R8: halved without think tags")},
    "no_think": {"format": (0.5, "R8")},
    "json_only": {"length": (0.0, "R14: nothing is paid without an answer")},
    "boxed_only": {"length": (0.0, "R8: the answer is no reasoning")},
    "len_600": {"length": (0.0, "R8: filler")},
    "len_601": {"length": (0.0, "R8: filler")},
    "lower_case": {"answer": (1.0, "R6")},
    "trailing_dot": {"answer": (1.0, "R6")},
    "text_macro": {"answer": (1.0, "R6")},
    "markdown_bold": {"answer": (1.0, "R6")},
    "option_letter": {"answer": (1.0, "R6")},
    "no_finding_plural": {"answer": (1.0, "R6")},
    "mixed_separators": {"answer": (1.0, "R7")},
    "unclosed_box": {"length": (0.0, "R14")},
    "empty_box": {"length": (0.0, "R14")},
    "literal_none": {"answer": (1.0, "a class may be called None")},
    "answer_before_think": {"answer": (0.0, "R8"), "length": (0.0, "R8")},
    "hedge_all_labels": {"answer": (0.0, "R9")},
}


@pytest.mark.parametrize(
    ("preset", "source"), [("authors_qoq_med", "qoq_med"), ("authors_mirl", "mirl_single")]
)
def test_published_presets_reproduce_every_vector(
    preset: str, source: str, vectors: dict[str, Any], truth_of_case: Any
) -> None:
    assert len(vectors) == 75
    for name, case in vectors.items():
        (ours,) = score([case["response"]], [truth_of_case(case)], preset)
        expected = case["expected"][source]
        assert ours["overall"] == pytest.approx(expected["overall"], abs=1e-6), name
        for part, key in PARTS.items():
            if key in expected:
                tolerance = 1e-5 if part == "grounding" else 1e-6
                assert ours[part] == pytest.approx(expected[key], abs=tolerance), (name, part)


def test_parts_match_wherever_no_defect_is_listed(
    vectors: dict[str, Any], truth_of_case: Any
) -> None:
    """The vectors draw boxes on masks with both corner pixels, and compare boxes by their edges."""
    for name, case in vectors.items():
        truth = truth_of_case(case)
        drawn = bool(case["mask"] and case["mask"]["rects"])
        (ours,) = score([case["response"]], [truth], inclusive_boxes=drawn)
        expected = case["expected"]["qoq_med"]
        for part, key in PARTS.items():
            value, _ = DIFFERENT.get(name, {}).get(part, (expected[key], ""))
            if part == "grounding" and not case["gt_bbox"] and not drawn:
                value = None
            if value is None:
                assert ours[part] is None and ours["status"][part] == "missing_truth", name
            else:
                assert ours[part] == pytest.approx(value, abs=1e-5), (name, part)


def test_weights_are_those_of_the_code_where_all_parts_agree(
    vectors: dict[str, Any], truth_of_case: Any
) -> None:
    compared = 0
    for name, case in vectors.items():
        drawn = bool(case["mask"] and case["mask"]["rects"])
        if name in DIFFERENT or not drawn:
            continue
        for preset, source in (("qoq_med_code", "qoq_med"), ("mirl", "mirl_single")):
            (ours,) = score([case["response"]], [truth_of_case(case)], preset, inclusive_boxes=True)
            expected = case["expected"][source]["overall"]
            assert ours["overall"] == pytest.approx(expected, abs=1e-5), (name, preset)
            compared += 1
    assert compared >= 30
