"""Several masks on an image: readers apart, instances that overlap, and regions that are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qoqdata.errors import Misaligned, UsageError
from qoqtrain.rewards import MaskPlace, truth_of_record
from tests.qoqtrain.rewards.responses import one, region, respond

SIZE = (40, 20)


def mask(*rectangles: tuple[int, int, int, int], code: int = 1) -> np.ndarray:
    """A label map of 40 x 20 with rectangles x_min, y_min, x_max, y_max set."""
    codes = np.zeros(SIZE[::-1], np.uint8)
    for x_min, y_min, x_max, y_max in rectangles:
        codes[y_min:y_max, x_min:x_max] = code
    return codes


def place(image: int = 0, reader: str | None = None, instance: int | None = None) -> dict[str, Any]:
    return {"image": image, "reader": reader, "instance": instance}


def grounding(
    boxes: list[Any], masks: list[np.ndarray], places: list[dict[str, Any]], **scheme: Any
) -> float:
    truth = {
        "answer": "A",
        "masks": masks,
        "mask_places": places,
        "stored_sizes": [SIZE] * (1 + max(one["image"] for one in places)),
    }
    value = one(respond("A", boxes), truth, **scheme)["grounding"]
    assert isinstance(value, float)
    return value


def test_what_one_reader_drew_is_right() -> None:
    """Two readers of one image: agreeing with either is worth 1, and with both it is not."""
    masks = [mask((0, 0, 10, 10)), mask((20, 0, 30, 10))]
    readers = [place(reader="R1"), place(reader="R2")]
    assert grounding([[0, 0, 10, 10]], masks, readers) == pytest.approx(1.0)
    assert grounding([[20, 0, 30, 10]], masks, readers) == pytest.approx(1.0)
    both = [[0, 0, 10, 10], [20, 0, 30, 10]]
    # 2 * 1 / (2 claims + 1 region) for either reader.
    assert grounding(both, masks, readers) == pytest.approx(2 / 3)
    assert grounding(both, masks, [place(), place()]) == pytest.approx(1.0)


def test_a_reader_whose_masks_are_empty_found_nothing() -> None:
    masks = [mask((0, 0, 10, 10)), mask()]
    assert grounding([], masks, [place(reader="R1"), place(reader="R2")]) == pytest.approx(1.0)
    assert grounding([], masks, [place(reader="R1"), place(reader="R1")]) == 0.0


def test_instances_that_overlap_are_targets_of_their_own() -> None:
    first, second = (0, 0, 20, 10), (10, 0, 30, 10)
    masks, places = [mask(first), mask(second)], [place(instance=1), place(instance=2)]
    assert grounding([list(first), list(second)], masks, places) == pytest.approx(1.0)
    # One box of two: 2 * 1 / 3. One box over both: IoU 200 / 300 with one, so 2 * (2 / 3) / 3.
    assert grounding([list(first)], masks, places) == pytest.approx(2 / 3)
    assert grounding([[0, 0, 30, 10]], masks, places) == pytest.approx(4 / 9)


def test_the_union_counts_shared_pixels_once() -> None:
    masks, places = (
        [mask((0, 0, 20, 10)), mask((10, 0, 30, 10))],
        [place(instance=1), place(instance=2)],
    )
    # 300 pixels are in either instance, 100 of them in both.
    assert grounding([[0, 0, 30, 10]], masks, places, grounding_rule="union") == pytest.approx(1.0)
    assert grounding([[0, 0, 15, 10]], masks, places, grounding_rule="union") == pytest.approx(0.5)
    far = [*masks, mask((35, 15, 40, 20))]
    places = [*places, place(instance=3)]
    # 325 pixels now, 300 of them found.
    value = grounding([[0, 0, 30, 10]], far, places, grounding_rule="union")
    assert value == pytest.approx(300 / 325)


def test_an_instance_in_two_pieces_is_one_target() -> None:
    pieces = mask((0, 0, 5, 10), (15, 0, 20, 10))
    whole = [[0, 0, 20, 10]]
    # 100 of 200 pixels of the box, as one instance, and as the union of what is set.
    assert grounding(whole, [pieces], [place(instance=1)]) == pytest.approx(0.5)
    assert grounding(whole, [pieces], [place()]) == pytest.approx(0.5)
    # A box on each piece: half the instance each, 2 * 0.5 / 3; two pieces, or all that is set.
    both = [[0, 0, 5, 10], [15, 0, 20, 10]]
    assert grounding(both, [pieces], [place(instance=1)]) == pytest.approx(1 / 3)
    assert grounding(both, [pieces], [place()]) == pytest.approx(1.0)


def test_lesions_that_touch_in_a_mask_of_codes_do_not_cost_a_right_box() -> None:
    """Two lesions of 100 pixels side by side are one component of 200; drawn box by box they are
    the whole of it. As instances each box has one of its own."""
    first, second = (0, 0, 10, 10), (10, 0, 20, 10)
    together, boxes = mask(first, second), [list(first), list(second)]
    assert grounding(boxes, [together], [place()]) == pytest.approx(1.0)
    assert grounding([list(first)], [together], [place()]) == pytest.approx(0.5)
    apart = [mask(first), mask(second)]
    places = [place(instance=1), place(instance=2)]
    assert grounding(boxes, apart, places) == pytest.approx(1.0)
    # One box over both instances is one of two, and half of it is beside: 2 * 0.5 / 3.
    assert grounding([[0, 0, 20, 10]], apart, places) == pytest.approx(1 / 3)


def test_masks_lie_on_the_images_that_they_name() -> None:
    truth = {
        "answer": "A",
        "masks": [mask((0, 0, 10, 10)), mask((20, 0, 30, 10))],
        "mask_places": [MaskPlace(1, "R1"), place(1, "R2")],
        "stored_sizes": [(90, 90), SIZE],
        "seen_sizes": [(90, 90), (80, 40)],
    }
    box = '```json\n[{"image": 1, "bbox_2d": [40, 0, 60, 20], "label": "x"}]\n```\\boxed{A}'
    assert one(box, truth)["grounding"] == pytest.approx(1.0)
    assert one(box.replace('"image": 1', '"image": 0'), truth)["grounding"] == 0.0


def test_sizes_come_from_masks_where_nothing_else_tells_them() -> None:
    masks = {"masks": [mask((0, 0, 10, 10))], "mask_places": [place()]}
    found = one(respond("A", [[0, 0, 250, 500]]), {"answer": "A", "frame": "thousandths", **masks})
    assert found["grounding"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"mask_places": []}, Misaligned),
        ({"mask_places": [place(), place()]}, Misaligned),
        ({"mask_places": [place(1)]}, Misaligned),
        ({"mask_places": [place(-1)]}, Misaligned),
        ({"mask_places": ["R1"]}, UsageError),
        ({"mask_places": [place()], "stored_sizes": [(40, 21)]}, Misaligned),
    ],
)
def test_places_that_do_not_fit_are_refused(changes: dict[str, Any], error: type) -> None:
    truth = {"answer": "A", "masks": [mask((0, 0, 9, 9))], "stored_sizes": [SIZE]}
    with pytest.raises(error):
        one(respond("A"), truth | changes)


RECORD = {
    "id": "r",
    "kind": "single",
    "answer": "A",
    "options": ["A", "B"],
    "question": "Which?",
    "image_info": [{"width": 40, "height": 20}],
    "mask_info": [place(reader="R1"), place(reader="R2")],
}


def test_a_record_gives_its_masks_by_reader() -> None:
    truth = truth_of_record(RECORD, masks=[mask((0, 0, 10, 10)), mask((20, 0, 30, 10))])
    assert one(respond("A", [[20, 0, 30, 10]]), truth)["grounding"] == pytest.approx(1.0)
    with pytest.raises(UsageError, match="mask_info"):
        truth_of_record({**RECORD, "mask_info": None}, masks=[mask()])
    with pytest.raises(UsageError, match="schema 1"):
        truth_of_record({**RECORD, "kind": None})


def test_a_given_region_is_no_target() -> None:
    given, wanted = region(0, 0, 10, 10, role="given"), region(20, 0, 30, 10, role="target")
    both = truth_of_record({**RECORD, "regions": [given, wanted]})
    assert one(respond("A", [[20, 0, 30, 10]]), both)["grounding"] == pytest.approx(1.0)
    assert one(respond("A", [[0, 0, 10, 10]]), both)["grounding"] == 0.0
    # Only given ones: nothing is said of others, so the part is not scored.
    alone = truth_of_record({**RECORD, "regions": [given]})
    found = one(respond("A"), alone)
    assert (found["grounding"], found["status"]["grounding"]) == (None, "missing_truth")
    boxes = truth_of_record({**RECORD, "regions": [given], "kind": "boxes"})
    assert one(respond("A", []), boxes)["grounding"] == 1.0
    # Which of the masks shows the given region is not known.
    drawn = truth_of_record({**RECORD, "regions": [given]}, masks=[mask((0, 0, 10, 10)), mask()])
    assert one(respond("A", [[0, 0, 10, 10]]), drawn)["grounding"] is None
