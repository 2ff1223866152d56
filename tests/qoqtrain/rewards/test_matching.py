"""Boxes against regions: hand values, brute force, invariants."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.boxes import Box, from_stored, iou
from qoqdata.errors import InputError
from qoqtrain.rewards import score
from qoqtrain.rewards.matching import (
    RULES,
    RegionBox,
    best,
    matched,
    patch_of,
    patches,
    region_iou,
    union,
)

EDGES = st.tuples(*[st.integers(0, 12)] * 4).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]) + 1, max(c[1], c[3]) + 1)
)
BOXES = st.lists(EDGES, max_size=4)


def boxes(corners: list[Any], image: int = 0) -> list[RegionBox]:
    return [RegionBox(image, Box(*map(float, edges))) for edges in corners]


def raster(corners: list[Any], fine: int = 1, size: int = 16) -> np.ndarray:
    """The union of the boxes on a grid of 1 / fine pixels."""
    grid = np.zeros((size * fine, size * fine), bool)
    for x_min, y_min, x_max, y_max in (np.round(np.array(c) * fine).astype(int) for c in corners):
        grid[y_min:y_max, x_min:x_max] = True
    return grid


def test_iou_by_hand() -> None:
    (a, b, far) = boxes([(0, 0, 4, 2), (2, 0, 6, 2), (9, 9, 10, 10)])
    assert region_iou(a, a) == 1.0
    assert region_iou(a, b) == pytest.approx(4 / 12)
    assert region_iou(a, far) == 0.0
    assert region_iou(a, a._replace(image=1)) == 0.0


@given(EDGES, EDGES)
def test_iou_of_regions_is_that_of_their_boxes(a: Any, b: Any) -> None:
    expected = iou(Box(*a), Box(*b))
    assert region_iou(*boxes([a, b])) == pytest.approx(expected)


@given(EDGES, BOXES)
def test_iou_with_a_patch_counts_pixels(edges: Any, drawn: list[Any]) -> None:
    grid = raster(drawn)
    window = grid[2:14, 1:15]
    whole = np.zeros_like(grid)
    whole[2:14, 1:15] = window
    claim = raster([edges])
    shared, either = (claim & whole).sum(), (claim | whole).sum()
    (box,) = boxes([edges])
    assert region_iou(box, patch_of(0, 1, 2, window)) == pytest.approx(shared / either)


@given(
    st.tuples(*[st.integers(-20, 80)] * 2, *[st.integers(1, 60)] * 2),
    st.integers(0, 2**32 - 1),
)
def test_iou_with_a_patch_counts_quarters_of_pixels(corner: Any, seed: int) -> None:
    """Corners on quarters of pixels, against a mask drawn four times as fine."""
    left, top, width, height = corner
    mask = np.random.default_rng(seed).random((12, 12)) < 0.5
    fine = np.kron(mask, np.ones((4, 4), bool))
    claim = np.zeros((160, 160), bool)
    claim[top + 20 : top + 20 + height, left + 20 : left + 20 + width] = True
    shared = (claim[20:68, 20:68] & fine).sum()
    either = claim.sum() + fine.sum() - shared
    box = RegionBox(0, Box(left / 4, top / 4, (left + width) / 4, (top + height) / 4))
    assert region_iou(box, patch_of(0, 0, 0, mask)) == pytest.approx(shared / either)


@given(EDGES, BOXES)
def test_a_rectangle_is_the_same_as_box_and_as_mask(truth: Any, claimed: list[Any]) -> None:
    x_min, y_min, x_max, y_max = truth
    mask = np.zeros((16, 16), np.uint8)
    mask[y_min:y_max, x_min:x_max] = 7
    (patch,) = patches(0, mask)
    (box,) = boxes([truth])
    claims = boxes(claimed)
    for rule in RULES.values():
        as_box, as_mask = (rule(claims, len(claims), [part], False) for part in (box, patch))
        assert as_box == pytest.approx(as_mask)


@given(BOXES, BOXES)
def test_matching_is_the_best_of_all_assignments(claimed: list[Any], regions: list[Any]) -> None:
    a, b = boxes(claimed), boxes(regions)
    short, long = sorted((a, b), key=len)
    sums = [
        sum(region_iou(x, y) for x, y in zip(short, order, strict=True))
        for order in permutations(long, len(short))
    ]
    expected = 2 * max(sums) / (len(a) + len(b)) if a or b else 1.0
    assert matched(a, len(a), b, False) == pytest.approx(expected)
    assert matched(b, len(b), a, False) == pytest.approx(expected)
    assert 0 <= expected <= 1


def test_misses_and_extras_both_cost() -> None:
    a, b, c = boxes([(0, 0, 4, 4), (6, 0, 10, 4), (0, 6, 4, 10)])
    assert matched([a], 1, [a], False) == 1.0
    assert matched([a], 1, [a, b], False) == pytest.approx(2 / 3)
    assert matched([a, c], 2, [a], False) == pytest.approx(2 / 3)
    assert matched([a, c], 2, [a, b], False) == pytest.approx(1 / 2)
    assert matched([a], 3, [a], False) == pytest.approx(1 / 2)  # two claims had no area
    assert matched([], 0, [a], False) == matched([a], 1, [], False) == 0.0
    assert matched([], 0, [], False) == 1.0
    assert matched([a, a], 2, [a, b], False) == pytest.approx(1 / 2)  # no box counts twice


@given(BOXES, BOXES, BOXES)
def test_union_counts_pixels(claimed: list[Any], regions: list[Any], drawn: list[Any]) -> None:
    claim, truth = raster(claimed), raster(regions)
    either = (claim | truth).sum()
    expected = (claim & truth).sum() / either if either else 1.0
    value = union(boxes(claimed), len(claimed), boxes(regions), False)
    assert value == pytest.approx(expected)
    mask = raster(drawn)
    either = (claim | mask).sum()
    expected = (claim & mask).sum() / either if either else 1.0
    found = patches(0, mask.astype(np.int32))
    assert union(boxes(claimed), len(claimed), found, False) == pytest.approx(expected)


def test_best_ignores_misses_and_extras() -> None:
    a, b, c = boxes([(0, 0, 4, 4), (6, 0, 10, 4), (0, 6, 4, 10)])
    assert best([a, c], 2, [a, b], False) == 1.0
    assert best([c], 1, [a, b], False) == 0.0
    assert best([], 0, [], False) == 1.0


@given(BOXES, BOXES, st.randoms(use_true_random=False), st.sampled_from(sorted(RULES)))
def test_order_of_boxes_is_no_matter(
    claimed: list[Any], regions: list[Any], random: Any, rule: Any
) -> None:
    a, b = boxes(claimed), boxes(regions)
    value = RULES[rule](a, len(a), b, False)
    shuffled = RULES[rule](random.sample(a, len(a)), len(a), random.sample(b, len(b)), False)
    assert shuffled == pytest.approx(value, abs=1e-12)
    assert 0 <= value <= 1


def test_components_of_a_label_map() -> None:
    mask = np.zeros((6, 8), np.uint8)
    mask[0:2, 0:2] = mask[2:4, 2:4] = 1  # touch at a corner: one component
    mask[0, 6] = 1
    mask[4:6, 0:3] = 2
    found = patches(3, mask)
    assert sorted(patch.area for patch in found) == [1, 6, 8]
    assert {patch.image for patch in found} == {3}
    with pytest.raises(InputError):
        patches(0, np.arange(300).reshape(20, 15))


def grounded(items: list[dict[str, Any]], truth: dict[str, Any], **changes: Any) -> dict[str, Any]:
    response = f"```json\n{json.dumps(items)}\n```\n\\boxed{{A}}"
    return score([response], [{"answer": "A", **truth}], **changes)[0]


def region(box: Any, **extra: Any) -> dict[str, Any]:
    edges = dict(zip(("x_min", "y_min", "x_max", "y_max"), box, strict=True))
    return {"label": "Lesion", "image": 0, **edges, **extra}


def test_every_image_is_matched_by_itself() -> None:
    truth = {
        "regions": [region((0, 0, 4, 4)), region((0, 0, 4, 4), image=1)],
        "stored_sizes": [(10, 10), (10, 10)],
    }
    here = {"bbox_2d": [0, 0, 4, 4], "label": "x"}
    both = [here, {**here, "image": 1}]
    for rule in ("matched", "union"):
        assert grounded(both, truth, grounding_rule=rule)["grounding"] == pytest.approx(1.0)
    assert grounded([here, here], truth)["grounding"] == pytest.approx(1 / 2)
    astray = grounded([*both, {**here, "image": 2}], truth)
    assert astray["grounding"] == pytest.approx(4 / 5)
    assert "1 claimed boxes" in astray["reason"]["grounding"]


def test_readers_are_alternatives_and_not_a_crowd() -> None:
    """Three readers drew the same lesion; a response cannot match all three boxes."""
    drawn = [(0, 0, 40, 40), (2, 0, 42, 40), (50, 50, 60, 60)]
    named = [region(box, reader=f"R{i}") for i, box in enumerate(drawn)]
    claim = [{"bbox_2d": list(drawn[0]), "label": "x"}]
    assert grounded(claim, {"regions": named})["grounding"] == 1.0
    assert grounded(claim, {"regions": list(map(region, drawn))})["grounding"] == pytest.approx(0.5)


def test_nothing_to_find() -> None:
    empty: dict[str, Any] = {"regions": []}
    for rule in ("matched", "union", "best"):
        assert grounded([], empty, grounding_rule=rule)["grounding"] == 1.0
        claim = [{"bbox_2d": [0, 0, 4, 4], "label": "x"}]
        assert grounded(claim, empty, grounding_rule=rule)["grounding"] == 0.0
    silent = score(["\\boxed{A}"], [{"answer": "A", **empty}])[0]
    assert silent["grounding"] == 1.0 and silent["status"]["grounding"] == "no_boxes"
    broken = score(["```json\n[{'bbox_2d'\n```\\boxed{A}"], [{"answer": "A", **empty}])[0]
    assert broken["grounding"] == 0.0 and broken["status"]["grounding"] == "unparsable"


def test_masks_come_before_boxes_where_a_pixel_is_set() -> None:
    mask = np.zeros((10, 10), np.uint8)
    truth = {"regions": [region((0, 0, 4, 4))], "masks": [mask]}
    claim = [{"bbox_2d": [0, 0, 4, 4], "label": "x"}]
    assert grounded(claim, truth)["grounding"] == 1.0
    mask[5:9, 5:9] = 3
    assert grounded(claim, truth)["grounding"] == 0.0


def test_labels_of_boxes_meet_by_normal_form_and_synonym() -> None:
    truth = {"regions": [region((0, 0, 4, 4)), region((5, 5, 9, 9), label="PTX")]}
    claim = [
        {"bbox_2d": [0, 0, 4, 4], "label": " lesion."},
        {"bbox_2d": [5, 5, 9, 9], "label": "Pneumothorax"},
    ]
    for rule in ("matched", "union", "best"):
        ours = grounded(
            claim,
            truth,
            labelled_boxes=True,
            grounding_rule=rule,
            synonyms={"PTX": "Pneumothorax"},
        )
        assert ours["grounding"] == pytest.approx(1.0)
    assert grounded(claim, truth, labelled_boxes=True)["grounding"] == pytest.approx(1 / 2)


def test_a_box_of_another_label_costs_its_area_in_the_union() -> None:
    truth = {"regions": [region((0, 0, 4, 4))]}
    claim = [
        {"bbox_2d": [0, 0, 4, 4], "label": "lesion"},
        {"bbox_2d": [5, 5, 9, 9], "label": "rib"},
    ]
    for rule, value in (("union", 16 / 32), ("matched", 2 / 3), ("best", 1.0)):
        ours = grounded(claim, truth, labelled_boxes=True, grounding_rule=rule)
        assert ours["grounding"] == pytest.approx(value)
    assert grounded(claim[1:], truth, labelled_boxes=True, grounding_rule="union")["grounding"] == 0


@pytest.mark.parametrize("frame", ["pixels", "thousandths"])
def test_a_resized_image_is_scored_in_its_stored_pixels(frame: Any) -> None:
    """Stored 1000 x 400, shown at 504 x 196: not one ratio for both sides."""
    stored, seen = (1000, 400), (504, 196)
    true = (100.0, 40.0, 500.0, 200.0)
    mask = np.zeros((400, 1000), np.uint8)
    mask[40:200, 100:500] = 1
    written = from_stored(true, stored_size=stored, seen_size=seen, frame=frame)
    items = [{"bbox_2d": list(written), "label": "x"}]
    response = f"```json\n{json.dumps(items)}\n```\\boxed{{A}}"
    edges = dict(zip(("x_min", "y_min", "x_max", "y_max"), true, strict=True))
    sizes = {"answer": "A", "stored_sizes": [stored], "seen_sizes": [seen], "frame": frame}
    for truth in (
        {**sizes, "regions": [{"label": "x", "image": 0, **edges}]},
        {**sizes, "masks": [mask]},
    ):
        assert score([response], [truth])[0]["grounding"] == pytest.approx(1.0)
        unmapped = {**truth, "seen_sizes": [stored], "frame": "pixels"}
        assert score([response], [unmapped])[0]["grounding"] < 0.5
