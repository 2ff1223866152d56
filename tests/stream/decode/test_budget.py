"""Shown sizes against the rule of transformers' processors, and the choice of images."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from qoqdata.errors import UnsupportedFormat, UsageError
from qoqdata.stream.decode.budget import Budget, budget_of, evenly, shown_sizes, smart_size

SIDE = st.integers(1, 5000)


def reference():
    module = pytest.importorskip(
        "transformers.models.qwen2_vl.image_processing_pil_qwen2_vl", exc_type=ImportError
    )
    return module.smart_resize


@settings(max_examples=500)
@given(
    width=SIDE,
    height=SIDE,
    multiple=st.sampled_from([28, 32, 14, 1]),
    low=st.integers(1, 300_000),
    more=st.integers(0, 3_000_000),
)
def test_one_application_agrees_with_transformers(width, height, multiple, low, more):
    smart_resize = reference()
    high = low + more
    try:
        expected = smart_resize(height, width, multiple, low, high)
    except ValueError:
        with pytest.raises(UnsupportedFormat):
            smart_size((width, height), min_pixels=low, max_pixels=high, multiple=multiple)
        return
    found = smart_size((width, height), min_pixels=low, max_pixels=high, multiple=multiple)
    assert found == expected[::-1]


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((256, 256), (252, 252)),  # 9.14 multiples
        ((266, 266), (280, 280)),  # 9.5 would go to the even 10
        ((238, 238), (224, 224)),  # 8.5 goes to the even 8
        ((20, 20), (56, 56)),  # grown to 3,136 pixels
        ((2000, 1000), (1400, 700)),  # divided by 1.412: 50.6 and 25.3 multiples
    ],
)
def test_sizes_worked_out_by_hand(size, shown):
    assert shown_sizes([size], Budget()) == [(0, shown)]


@settings(max_examples=400)
@given(
    sizes=st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=20),
    multiple=st.sampled_from([28, 32]),
    low=st.integers(1, 40),
    more=st.integers(0, 1500),
    total=st.none() | st.integers(1, 4000),
    max_images=st.none() | st.integers(1, 9),
)
def test_what_is_shown_is_left_alone_by_the_processor(
    sizes, multiple, low, more, total, max_images
):
    smart_resize = reference()
    tile = multiple**2
    low, high = low * tile, (low + more) * tile
    assume(total is None or total * tile >= low)
    budget = Budget(low, high, multiple, max_images, None if total is None else total * tile)
    try:
        shown = shown_sizes(sizes, budget)
    except UnsupportedFormat:
        assert any(max(size) > 27 * min(size) for size in sizes)
        return
    except UsageError:
        assert high < 12 * low or total is not None or any(max(s) > 9 * min(s) for s in sizes)
        return
    for _, (width, height) in shown:
        assert smart_resize(height, width, multiple, low, high) == (height, width)
        assert low <= width * height <= high
    assert len(shown) <= (max_images or len(sizes))
    if total is not None:
        assert sum(width * height for _, (width, height) in shown) <= total * tile
    indices = [index for index, _ in shown]
    if len(indices) > 1:
        assert indices[0] == 0 and indices[-1] == len(sizes) - 1
        gaps = [after - before for before, after in pairwise(indices)]
        assert max(gaps) - min(gaps) <= 1


def test_the_processor_itself_cuts_the_same_patches_without_resizing():
    module = pytest.importorskip(
        "transformers.models.qwen2_vl.image_processing_pil_qwen2_vl", exc_type=ImportError
    )
    import numpy as np

    processor = module.Qwen2VLImageProcessorPil(patch_size=16, min_pixels=4096, max_pixels=65536)
    budget = budget_of(processor)
    assert (budget.min_pixels, budget.max_pixels, budget.multiple) == (4096, 65536, 32)
    for size in [(300, 200), (1000, 90), (31, 40), (640, 641)]:
        ((_, (width, height)),) = shown_sizes([size], budget)
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
        given_size = processor(images=[pixels], return_tensors="np")
        as_is = processor(images=[pixels], return_tensors="np", do_resize=False)
        assert given_size["image_grid_thw"].tolist() == [[1, height // 16, width // 16]]
        assert np.array_equal(given_size["pixel_values"], as_is["pixel_values"])


def test_a_total_shrinks_every_image_before_any_is_left_out():
    tile = 28 * 28
    volume = [(512, 512)] * 16
    shown = shown_sizes(volume, Budget(4 * tile, 400 * tile, total_pixels=16 * 25 * tile))
    assert shown == [(i, (140, 140)) for i in range(16)]
    # Five images of the smallest size fit; 15 / 4 apart, rounded: 0, 4, 8, 11, 15.
    few = shown_sizes(volume, Budget(4 * tile, 400 * tile, total_pixels=5 * 4 * tile))
    assert few == [(i, (56, 56)) for i in (0, 4, 8, 11, 15)]


def test_images_are_left_out_where_a_share_rounds_below_the_smallest():
    # A third of 15 tiles is 5; 2 x 2 tiles are too few, 3 x 3 too many for two images.
    tile = 28 * 28
    budget = Budget(5 * tile, 100 * tile, total_pixels=15 * tile)
    assert shown_sizes([(500, 500)] * 3, budget) == [(1, (84, 84))]
    # 5 x 1 tiles are exactly 5.
    assert shown_sizes([(2500, 500)] * 3, budget) == [(i, (140, 28)) for i in range(3)]


def test_a_share_that_rounds_too_low_grows_from_the_stored_shape():
    # 7.5 tiles at 2 : 1 are 3.9 x 1.9, rounded down to 3 x 1: too few. So 7 tiles, which are
    # 3.7 x 1.9, are rounded up to 4 x 2; growing from 3 x 1 would give 5 x 2.
    tile = 28 * 28
    budget = Budget(7 * tile, 60 * tile, total_pixels=15 * tile)
    assert shown_sizes([(200, 100), (196, 28)], budget) == [(0, (112, 56)), (1, (196, 28))]


def test_evenly_keeps_both_ends_and_takes_the_middle_of_one():
    assert evenly(10, 4) == [0, 3, 6, 9]
    assert evenly(5, 5) == [0, 1, 2, 3, 4]
    assert evenly(9, 1) == [4]
    assert evenly(2, 2) == [0, 1]


def test_a_long_image_in_a_small_budget_is_refused_or_rests():
    tiny = Budget(28 * 28, 4 * 28 * 28)
    ((_, size),) = shown_sizes([(5600, 28)], tiny)
    assert size == (112, 28)
    with pytest.raises(UnsupportedFormat, match="200 times"):
        shown_sizes([(5628, 28)], tiny)


@pytest.mark.parametrize(
    "values",
    [
        {"min_pixels": 0},
        {"max_images": 0},
        {"min_pixels": 5000, "max_pixels": 4999},
        {"max_pixels": 700},
        {"total_pixels": 3000},
        {"multiple": -28},
    ],
)
def test_impossible_budgets_are_refused(values):
    with pytest.raises(UsageError):
        Budget(**values)


def test_a_budget_too_tight_for_a_shape_says_so():
    with pytest.raises(UsageError, match="no size in steps of 28"):
        shown_sizes([(100, 200)], Budget(3136, 3136))


def test_a_processor_without_sizes_is_refused():
    with pytest.raises(UsageError, match="states no pixel budget"):
        budget_of(object())
