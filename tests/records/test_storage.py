"""How pixels are stored, and that boxes, masks and spacing follow them."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PilImage

from qoqdata.contract.storage import Storage
from qoqdata.errors import Misaligned
from qoqdata.readers import encode
from qoqdata.records.content import Image, Mask, Record, Region
from qoqdata.records.storage import (
    MediaStore,
    bounded,
    shrink_codes,
    shrink_pixels,
    store_image,
)

SMALL = Storage(max_pixels=4096)  # 64 x 64
NATIVE = Storage(policy="native", max_pixels=4096)
RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (128, 256), np.uint8)


def opened(data: bytes) -> np.ndarray:
    with PilImage.open(BytesIO(data)) as image:
        return np.asarray(image)


def record(**media: Any) -> Record:
    return Record(task="t", kind="open", forms=("q",), answer="a", **media)


def test_the_default_is_about_a_megapixel_for_training() -> None:
    assert Storage() == Storage(policy="training", max_pixels=1024 * 1024, quality=95)
    assert Storage.model_validate("native") == Storage(policy="native")


def test_native_is_lossless_at_full_size() -> None:
    stored = store_image(Image(NOISE, spacing=(0.5, 0.25)), NATIVE)
    assert (stored.width, stored.height, stored.extension) == (256, 128, "png")
    assert stored.stored_as == "native" and stored.spacing == (0.5, 0.25)
    assert np.array_equal(opened(stored.data), NOISE)


def test_training_averages_areas_and_spacing_follows() -> None:
    stored = store_image(Image(NOISE, spacing=(0.5, 0.25, 5.0)), SMALL)
    # sqrt(4096 / (256 * 128)) = 0.35355: 90.5 x 45.25
    assert (stored.width, stored.height) == (90, 45)
    assert stored.extension == "jpg" and stored.stored_as == "training"
    assert stored.spacing == pytest.approx((0.5 * 128 / 45, 0.25 * 256 / 90, 5.0))
    assert opened(stored.data).shape == (45, 90)


def test_area_averaging_is_the_mean_of_the_covered_area() -> None:
    made = shrink_pixels(NOISE, (64, 32))
    blocks = NOISE.reshape(32, 4, 64, 4).mean(axis=(1, 3))
    assert np.abs(made - blocks).max() <= 0.5 + 1e-6


def test_jpeg_keeps_colour_at_full_resolution() -> None:
    """A red pixel a blue pixel by turns: halved chroma would make all of them purple."""
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, ::2, 0] = pixels[:, 1::2, 2] = 255
    stored = store_image(Image(pixels), Storage(quality=95))
    made = opened(stored.data).astype(int)
    assert (made[:, ::2, 0] - made[:, ::2, 2]).min() > 150
    assert (made[:, 1::2, 2] - made[:, 1::2, 0]).min() > 150


@pytest.mark.parametrize("storage", [SMALL, NATIVE])
def test_small_files_are_kept_byte_for_byte(storage: Storage) -> None:
    data = encode.jpeg(NOISE[:64, :64])
    stored = store_image(Image(NOISE[:64, :64], data), storage)
    assert stored.data == data and stored.stored_as == "verbatim" and stored.extension == "jpg"


def test_large_files_are_kept_natively_only() -> None:
    data = encode.png(NOISE)
    kept, made = (store_image(Image(NOISE, data), one) for one in (NATIVE, SMALL))
    assert kept.data == data and kept.stored_as == "verbatim" and kept.extension == "png"
    assert (made.width, made.height, made.stored_as) == (90, 45, "training")


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(4096, 2_000_000))
def test_a_bounded_size_keeps_bound_and_shape(width: int, height: int, bound: int) -> None:
    new_width, new_height = bounded((width, height), bound)
    assert 1 <= new_width <= width and 1 <= new_height <= height
    assert new_width * new_height <= bound
    if width * height <= bound:
        assert (new_width, new_height) == (width, height)
    elif min(new_width, new_height) > 1:
        # Sides are rounded down by less than a pixel each.
        scale = np.sqrt(bound / (width * height))
        assert new_width > width * scale - 1 - 1e-6 and new_height > height * scale - 1 - 1e-6
    assert bounded((height, width), bound) == (new_height, new_width)


def test_boxes_and_areas_follow_their_image() -> None:
    region = Region("x", 0, 64.0, 32.0, 256.0, 128.0, area=18432.0, reader="r", role="given")
    media = MediaStore(SMALL).store(record(images=(Image(NOISE),), regions=(region,)))
    assert media.regions is not None
    (made,) = media.regions
    corners = (made.x_min, made.y_min, made.x_max, made.y_max)
    assert corners == (64 * 90 / 256, 32 * 45 / 128, 90.0, 45.0)
    assert made.area == pytest.approx(18432 * 90 * 45 / (256 * 128))
    assert (made.reader, made.role) == ("r", "given")


@given(st.integers(65, 3000), st.integers(65, 3000))
def test_a_box_on_the_border_stays_inside(width: int, height: int) -> None:
    image = Image(np.zeros((height, width), np.uint8))
    whole = Region("x", 0, 0.0, 0.0, float(width), float(height))
    media = MediaStore(SMALL).store(record(images=(image,), regions=(whole,)))
    assert media.images is not None and media.regions is not None
    assert media.regions[0].x_max <= media.images[0].width
    assert media.regions[0].y_max <= media.images[0].height


def test_masks_shrink_to_the_code_that_covers_most() -> None:
    codes = np.zeros((4, 8), np.uint16)
    codes[:, 4:] = 700
    codes[0, 0] = codes[0, 1] = codes[1, 0] = 3  # three of four
    assert shrink_codes(codes, (4, 2)).tolist() == [[3, 0, 700, 700], [0, 0, 700, 700]]


def test_no_code_vanishes_from_a_mask() -> None:
    codes = np.zeros((128, 256), np.uint8)
    codes[100, 200] = 9  # one pixel of eight in its place
    made = shrink_codes(codes, (90, 45))
    assert set(np.unique(made)) == {0, 9}
    (row,), (column,) = np.nonzero(made == 9)
    assert abs(row - 100 * 45 / 128) <= 1 and abs(column - 200 * 90 / 256) <= 1


def test_masks_are_lossless_and_have_the_size_of_their_image() -> None:
    codes = (NOISE % 3).astype(np.uint8)
    one, two = Mask(codes, 0, "r1"), Mask(codes, 1, "r2")
    small = Image(NOISE[:32, :32])
    content = record(images=(Image(NOISE), small), masks=(one, Mask(codes[:32, :32], 1)))
    media = MediaStore(SMALL).store(content)
    assert media.images is not None and media.masks is not None
    for image, mask in zip(media.images, media.masks, strict=True):
        assert opened(mask.data).shape == (image.height, image.width)
        assert (mask.width, mask.height) == (image.width, image.height)
    assert np.array_equal(opened(media.masks[1].data), codes[:32, :32])
    with pytest.raises(Misaligned, match="image 1"):
        MediaStore(SMALL).store(record(images=(Image(NOISE), small), masks=(one, two)))


def test_masks_without_images_are_bounded_alike() -> None:
    codes = np.zeros((128, 256), np.uint8)
    codes[:64, :128] = 1
    region = Region("x", 0, 0.0, 0.0, 128.0, 64.0)
    media = MediaStore(SMALL).store(record(masks=(Mask(codes),), regions=(region,)))
    assert media.masks is not None and media.regions is not None
    assert (media.masks[0].width, media.masks[0].height) == (90, 45)
    assert media.regions[0].x_max == 45.0 and media.regions[0].y_max == 22.5


def test_a_region_of_no_image_is_refused() -> None:
    stray = Region("x", 1, 0.0, 0.0, 1.0, 1.0)
    with pytest.raises(Misaligned, match="image 1 of 1"):
        MediaStore(SMALL).store(record(images=(Image(NOISE),), regions=(stray,)))


def test_what_records_share_is_encoded_once() -> None:
    image, mask = Image(NOISE), Mask((NOISE % 2).astype(np.uint8))
    store = MediaStore(SMALL)
    first, second = (store.store(record(images=(image,), masks=(mask,))) for _ in range(2))
    assert first.images is not None and second.images is not None
    assert first.masks is not None and second.masks is not None
    assert first.images[0] is second.images[0] and first.masks[0] is second.masks[0]


@pytest.mark.parametrize("fault", [{"quality": 20}, {"max_pixels": 10}, {"policy": "tiny"}])
def test_settings_that_cannot_be(fault: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(fault))):
        Storage(**fault)
