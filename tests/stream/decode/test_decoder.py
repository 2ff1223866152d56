"""Rows with hand-made images: pixels, masks, boxes and facts agree after decoding."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from qoqdata.errors import InputError, Misaligned, MissingFile, TooLarge, UsageError
from qoqdata.readers import encode
from qoqdata.readers.limits import Limits
from qoqdata.stream.decode import Budget, Decoder, Transform, encoded_images
from qoqtrain.rewards import truth_of_record

SMALL = Budget(max_pixels=100 * 784)


def rectangle(size, box, channels=3, value=255):
    """A black image of `size` (width, height) with a white box x_min, y_min, x_max, y_max."""
    pixels = np.zeros((size[1], size[0]), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = value
    return pixels if channels == 1 else np.repeat(pixels[..., None], 3, axis=2)


def region(image, box, **more):
    names = ("x_min", "y_min", "x_max", "y_max")
    return {"label": "a", "image": image, **dict(zip(names, map(float, box), strict=True)), **more}


def row(size, box, *, count=1, channels=3):
    image = {"bytes": encode.png(rectangle(size, box, channels)), "path": "0.png"}
    mask = {"bytes": encode.label_png(rectangle(size, box, 1, 5)), "path": "m.png"}
    facts = {"width": size[0], "height": size[1], "spacing": [0.5, 0.25, 3.0], "index": 7}
    return {
        "id": "r1",
        "question": "where?",
        "images": [image] * count,
        "masks": [mask] * count,
        "image_info": [facts] * count,
        "regions": [
            region(i, box, area=float((box[2] - box[0]) * (box[3] - box[1]))) for i in range(count)
        ],
    }


def extent(on):
    """Edges of the pixels that are set: x_min, y_min, x_max, y_max."""
    rows, columns = np.flatnonzero(on.any(axis=1)), np.flatnonzero(on.any(axis=0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


@st.composite
def boxed(draw):
    width, height = draw(st.integers(8, 320)), draw(st.integers(8, 320))
    x = sorted(draw(st.tuples(st.integers(0, width), st.integers(0, width))))
    y = sorted(draw(st.tuples(st.integers(0, height), st.integers(0, height))))
    assume(x[0] < x[1] and y[0] < y[1])
    return (width, height), (x[0], y[0], x[1], y[1])


@settings(max_examples=150)
@given(boxed(), st.integers(4, 60), st.integers(0, 300), st.sampled_from([28, 32]), st.booleans())
def test_image_mask_and_box_agree_at_every_size(drawn, low, more, multiple, grey):
    size, box = drawn
    tile = multiple**2
    budget = Budget(low * tile, (4 * low + more) * tile, multiple)
    try:
        found = Decoder("array", budget)(row(size, box, channels=1 if grey else 3))
    except UsageError:
        assume(False)
    (image,), (mask,), (placed,) = found["images"], found["masks"], found["regions"]
    (facts,) = found["shown"]
    assert image.shape == (facts["height"], facts["width"], 3) and image.dtype == np.uint8
    assert mask.shape == image.shape[:2] and mask.dtype == np.uint8
    corners = np.array([placed[name] for name in ("x_min", "y_min", "x_max", "y_max")])
    scale = np.array([facts["scale_x"], facts["scale_y"]] * 2)
    assert corners == pytest.approx(np.array(box) * scale)
    sides = corners[2:] - corners[:2]
    if sides.min() >= 1:
        # A shown pixel takes the code under its centre, so edges move by half a pixel at most.
        assert np.abs(extent(mask == 5) - corners).max() <= 0.5 + 1e-9
    if sides.min() >= 2:
        slack = 1 + 0.15 * np.maximum(scale, 1)
        assert (np.abs(extent(image[..., 1] > 127) - corners) <= slack).all()
    assert placed["area"] == pytest.approx(sides.prod())
    back = Transform.of(found["shown"]).restore(placed)
    assert [back[n] for n in ("x_min", "y_min", "x_max", "y_max")] == pytest.approx(box, abs=1e-6)


def test_without_a_budget_everything_is_as_stored():
    given_row = row((30, 20), (3, 4, 10, 12))
    before = copy.deepcopy(given_row)
    found = Decoder("array")(given_row)
    assert given_row == before
    assert np.array_equal(found["images"][0], rectangle((30, 20), (3, 4, 10, 12)))
    assert np.array_equal(found["masks"][0], rectangle((30, 20), (3, 4, 10, 12), 1, 5))
    assert found["regions"] == given_row["regions"]
    assert found["image_info"] == given_row["image_info"]
    assert found["left_out"] == {"images": [], "regions": [], "codes": []}
    assert found["shown"][0]["scale_x"] == found["shown"][0]["scale_y"] == 1
    assert found["question"] == "where?"


def test_facts_follow_the_size():
    found = Decoder("array", SMALL)(row((560, 280), (56, 28, 112, 56)))
    assert found["image_info"] == [
        {"width": 392, "height": 196, "spacing": [0.5 / 0.7, 0.25 / 0.7, 3.0], "index": 7}
    ]


def test_jpeg_colour_order_and_grey():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 250
    grey = np.full((16, 16), 90, np.uint8)
    found = Decoder("array")({"images": [encode.jpeg(red), encode.jpeg(grey), encode.png(red)]})
    for pixels, colour in zip(
        found["images"], [(250, 0, 0), (90, 90, 90), (250, 0, 0)], strict=True
    ):
        assert pixels.shape == (16, 16, 3)
        assert np.abs(pixels.astype(int) - colour).max() <= 2


def test_jpeg_pixels_are_those_of_pillow():
    y, x = np.mgrid[0:90, 0:120]
    smooth = np.stack([x * 2, y * 2, 255 - x], -1).astype(np.uint8)
    for pixels, settings_ in ((smooth, {}), (smooth[..., 0], {}), (smooth, {"progressive": True})):
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=80, **settings_)
        expected = np.asarray(Image.open(io.BytesIO(out.getvalue())).convert("RGB"))
        for strict in (False, True):
            (found,) = Decoder("array", strict=strict)({"images": [out.getvalue()]})["images"]
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("grey", [True, False])
@pytest.mark.parametrize(("size", "by"), [((800, 400), 2), ((1120, 1120), 4), ((1122, 1126), 2)])
def test_reduced_decoding_keeps_corners_and_nearly_all_of_the_pixels(size, by, grey):
    box = (64, 80, 192, 240)
    pixels = rectangle(size, box, 1 if grey else 3, 200)
    given_row = {"images": [encode.jpeg(pixels)], "regions": [region(0, box)]}
    opened = encoded_images.opened(given_row["images"][0], where="", limits=Limits())
    full = Decoder("array", SMALL)(given_row)
    reduced = Decoder("array", SMALL, reduced=True)(given_row)
    assert encoded_images.reduction(opened, full["images"][0].shape[1::-1]) == by
    assert reduced["shown"] == full["shown"] and reduced["regions"] == full["regions"]
    (found,), (expected,) = reduced["images"], full["images"]
    assert np.abs(found.astype(int) - expected).mean() < 1
    assert extent(found[..., 0] > 100) == extent(expected[..., 0] > 100)


def test_reduction_divides_both_sides_and_stays_above_the_shown_size():
    def by(size, shown, kind="JPEG"):
        return encoded_images.reduction(encoded_images.Encoded(b"", kind, *size, 3, 8), shown)

    assert by((800, 1600), (100, 200)) == 8
    assert by((800, 1600), (101, 200)) == 4
    assert by((802, 1600), (100, 200)) == 2
    assert by((801, 1600), (100, 200)) == 1
    assert by((800, 1600), (100, 1600)) == 1
    assert by((800, 1600), (100, 200), "PNG") == 1


def test_pil_shows_the_same_pixels():
    given_row = row((100, 60), (10, 10, 50, 50))
    arrays, pil = Decoder("array", SMALL)(given_row), Decoder("pil", SMALL)(given_row)
    assert pil["images"][0].mode == "RGB"
    assert np.array_equal(np.asarray(pil["images"][0]), arrays["images"][0])
    assert pil["shown"] == arrays["shown"]


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_every_form_of_bytes(wrap):
    data = encode.png(rectangle((9, 8), (1, 1, 4, 4)))
    for value in (wrap(data), {"bytes": wrap(data), "path": None}):
        assert Decoder("array")({"images": [value]})["images"][0].shape == (8, 9, 3)
        assert Decoder()({"images": [value]})["images"] == [data]


MASK = encode.label_png(np.zeros((20, 30), np.uint8))


def test_bytes_stay_encoded():
    given_row = row((30, 20), (3, 4, 10, 12)) | {"masks": [MASK]}
    found = Decoder()(given_row)
    assert found["images"] == [given_row["images"][0]["bytes"]] and found["masks"] == [MASK]
    assert found["regions"] is given_row["regions"] and "shown" not in found


def test_absent_columns_stay_absent_and_nulls_null():
    assert Decoder("array", SMALL)({"id": "a", "question": "q"}) == {"id": "a", "question": "q"}
    found = Decoder("array", SMALL)({"images": None, "regions": None, "masks": None, "ecg": None})
    assert found == {
        "images": None,
        "regions": None,
        "masks": None,
        "ecg": None,
        "shown": [],
        "left_out": {"images": [], "regions": [], "codes": []},
    }


def test_a_volume_is_thinned_and_says_what_is_left_out():
    volume = row((64, 64), (8, 8, 40, 40), count=7)
    volume["image_info"] = [{"width": 64, "height": 64, "index": 10 + i} for i in range(7)]
    volume["images"] = [encode.png(np.full((64, 64), 30 * i, np.uint8)) for i in range(7)]
    volume["masks"] = [encode.label_png(np.full((64, 64), i, np.uint8)) for i in range(7)]
    found = Decoder("array", Budget(max_images=3))(volume)
    assert [facts["index"] for facts in found["image_info"]] == [10, 13, 16]
    assert [int(image.max()) for image in found["images"]] == [0, 90, 180]
    assert [int(mask.max()) for mask in found["masks"]] == [0, 3, 6]
    assert [facts["image"] for facts in found["shown"]] == [0, 3, 6]
    assert found["left_out"]["images"] == [1, 2, 4, 5]
    assert found["left_out"]["regions"] == [volume["regions"][i] for i in (1, 2, 4, 5)]
    assert [placed["image"] for placed in found["regions"]] == [0, 1, 2]
    assert len(found["images"]) == len(found["masks"]) == len(found["image_info"]) == 3


def test_a_volume_shares_its_pixels():
    volume = row((512, 512), (8, 8, 40, 40), count=16)
    found = Decoder("array", Budget(total_pixels=16 * 9 * 784))(volume)
    assert [image.shape for image in found["images"]] == [(84, 84, 3)] * 16


def test_codes_that_no_shown_pixel_holds_are_named():
    codes = np.zeros((400, 400), np.uint16)
    codes[100:300, 100:300] = 2
    codes[7, 390] = 999
    found = Decoder("array", Budget(max_pixels=16 * 784))(
        {
            "images": [encode.png(rectangle((400, 400), (0, 0, 1, 1), 1))],
            "masks": [encode.label_png(codes)],
        }
    )
    assert found["masks"][0].dtype == np.uint16
    assert found["left_out"]["codes"] == [{"mask": 0, "code": 999}]


def test_boxes_need_only_the_stored_sizes():
    full = row((560, 280), (56, 28, 112, 56))
    sizes = [{"width": 560, "height": 280}]
    for columns in ({"image_info": sizes}, {"masks": full["masks"]}):
        found = Decoder("array", SMALL)({"regions": full["regions"], **columns})
        assert found["regions"][0]["x_max"] == pytest.approx(112 * 0.7)
    with pytest.raises(UsageError, match="without an image's size"):
        Decoder("array", SMALL)({"regions": full["regions"]})
    assert Decoder("array")({"regions": full["regions"]})["regions"] == full["regions"]


def test_a_given_region_that_a_budget_leaves_out_is_refused():
    """A target on a left out image is counted; a question is never asked without what it gives."""
    few = Decoder("array", Budget(max_pixels=100 * 784, max_images=2))
    made = row((56, 56), (0, 0, 28, 28), count=3) | {"masks": None}
    target, given = (region(1, (0, 0, 28, 28), role=role) for role in ("target", "given"))
    assert few(made | {"regions": [target]})["left_out"]["regions"] == [target]
    with pytest.raises(InputError, match=r"record r1, regions\[1\]: is given, on image 1"):
        few(made | {"regions": [target, given]})
    shown = few(made | {"regions": [{**given, "image": 2}]})["regions"]
    assert [(one["image"], one["role"]) for one in shown] == [(1, "given")]


def test_the_decoded_record_is_a_truth_of_its_own():
    """Stored sizes, boxes and masks of a decoded record are all those of the shown images."""
    size = {"width": 560, "height": 280, "reader": None, "instance": None}
    found = Decoder("array", Budget(max_pixels=100 * 784, max_images=2))(
        row((560, 280), (56, 28, 112, 56), count=5)
        | {"answer": "a", "kind": "open", "mask_info": [{"image": n, **size} for n in range(5)]}
    )
    seen = [(facts["width"], facts["height"]) for facts in found["shown"]]
    truth = truth_of_record(found, seen_sizes=seen, masks=found["masks"])
    assert truth.stored_sizes == truth.seen_sizes == ((392.0, 196.0),) * 2
    assert truth.regions[1].image == 1


def test_columns_that_disagree_are_named():
    good = row((30, 20), (3, 4, 10, 12))
    bad = {
        "images": [encode.png(rectangle((31, 20), (0, 0, 1, 1)))],
        "masks": [encode.label_png(rectangle((30, 21), (0, 0, 1, 1), 1))],
        "image_info": [],
        "regions": [region(1, (0, 0, 1, 1))],
    }
    for column, value in bad.items():
        with pytest.raises(Misaligned, match=f"record r1, {column}"):
            Decoder("array")(good | {column: value})
    with pytest.raises(Misaligned, match=r"record r1, regions\[0\]: box .* leaves"):
        Decoder("array")(good | {"regions": [region(0, (0, 0, 31, 5))]})
    with pytest.raises(InputError, match=r"record r1, regions\[1\]: .*no area"):
        Decoder("array")(good | {"regions": [region(0, (0, 0, 1, 1)), region(0, (5, 5, 5, 6))]})
    with pytest.raises(InputError, match=r"record r1, image_info\[0\]: states a size of 0 x 20"):
        Decoder("array")(good | {"image_info": [{"width": 0, "height": 20}]})
    with pytest.raises(InputError, match=r"record r1, images\[0\]: image is not stored"):
        Decoder("array")(good | {"images": [None]})
    with pytest.raises(MissingFile, match=r"record r1, images\[0\]"):
        Decoder("array")(good | {"images": [{"bytes": None, "path": "x.png"}]})


def test_limits_hold_for_the_record_as_a_whole():
    volume = row((64, 64), (8, 8, 40, 40), count=5)
    with pytest.raises(TooLarge, match="20,480 voxels"):
        Decoder("array", limits=Limits(voxels=20_000))(volume)
    with pytest.raises(TooLarge, match="5 frames"):
        Decoder("array", limits=Limits(frames=4))(volume)
    with pytest.raises(TooLarge, match=r"images\[0\].*4,096 image pixels"):
        Decoder("array", limits=Limits(image_pixels=4_000))(volume)


def test_settings_are_checked_and_travel_to_workers():
    with pytest.raises(UsageError, match="choose one of bytes, array, pil"):
        Decoder("tensor")
    with pytest.raises(UsageError, match="cannot be resized"):
        Decoder("bytes", SMALL)
    with pytest.raises(UsageError, match="strictly or reduced"):
        Decoder("array", strict=True, reduced=True)
    decoder = Decoder("array", SMALL)
    assert pickle.loads(pickle.dumps(decoder)) == decoder


def test_an_image_may_have_several_masks_and_another_none():
    """Of three images a budget shows the first and the last; masks go with their images."""
    images = [encode.png(np.full((64, 64), 50 * i, np.uint8)) for i in range(3)]
    codes = [np.full((64, 64), code, np.uint8) for code in (1, 2, 3, 4)]
    owners = [2, 0, 1, 2]
    own = {"width": 64, "height": 64, "instance": None}
    info = [{**own, "image": image, "reader": f"r{n}"} for n, image in enumerate(owners)]
    given_row = {
        "id": "r1",
        "images": images,
        "masks": [encode.label_png(one) for one in codes],
        "mask_info": info,
    }
    found = Decoder("array", Budget(max_images=2))(given_row)
    shown = [frame["image"] for frame in found["shown"]]
    stay = [n for n, image in enumerate(owners) if image in shown]
    assert len(shown) == 2 and [int(mask.max()) for mask in found["masks"]] == [n + 1 for n in stay]
    assert [one["image"] for one in found["mask_info"]] == [shown.index(owners[n]) for n in stay]
    assert [one["reader"] for one in found["mask_info"]] == [f"r{n}" for n in stay]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"image": 1}, "on image 1"),
        ({"image": -1}, "on image -1"),
        ({"width": 31}, "mask_info says"),
    ],
)
def test_mask_facts_that_disagree_are_named(change: dict[str, int], what: str) -> None:
    own = {"image": 0, "width": 30, "height": 20, "reader": None, "instance": None}
    bad = row((30, 20), (3, 4, 10, 12)) | {"masks": [MASK], "mask_info": [own | change]}
    with pytest.raises(Misaligned, match=what):
        Decoder("array")(bad)
