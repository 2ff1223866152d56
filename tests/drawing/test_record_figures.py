"""Which figures of a record are drawn, and what lies over them."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from qoqdata.drawing.pixels import COLOURS, drawn_mask, small_image
from qoqdata.drawing.record_figures import Figure, Outline, record_figures, telling_figures
from qoqdata.drawing.samples import draw_record
from qoqdata.errors import InputError
from tests.records.sound_rows import encoded, mask_info
from tests.viewer.conftest import HEART, SCAN, label_map, picture, rows


def figure(number: int, *labels: str) -> Figure:
    outlines = [(Outline(label, "r", "target", box=(0, 0, 1, 1)), 0) for label in labels]
    return Figure(number, f"Slice {number}", "", 10, 10, outlines)


@pytest.mark.parametrize(
    ("labels", "most", "numbers"),
    [
        ([[], [], [], [], [], [], []], 1, [3]),
        ([[], [], [], [], [], [], []], 2, [1, 5]),
        ([[], []], 5, [0, 1]),
        # Where two labels are drawn, not where one is.
        ([["a"], ["a", "b"], ["a"], ["b", "a", "a"]], 3, [1, 3]),
        ([[], ["a"], [], ["a"], ["a"]], 1, [3]),
        ([], 2, []),
    ],
)
def test_figures_that_tell_most(labels: list, most: int, numbers: list[int]) -> None:
    figures = [figure(number, *own) for number, own in enumerate(labels)]
    assert [one.number for one in telling_figures(figures, most)] == numbers


def test_a_mask_made_small_keeps_thin_structures() -> None:
    content = label_map(7, 240)
    line = np.zeros((240, 239), np.uint8)
    line[:, 100] = 7
    with BytesIO() as stream:
        Image.fromarray(line).save(stream, "PNG")
        thin = stream.getvalue()
    for source, side, share in ((content["bytes"], 60, 0.25), (thin, 60, 1 / 60)):
        drawn = drawn_mask(source, 7, 4, side)
        with Image.open(BytesIO(drawn.content)) as image:
            pixels = np.asarray(image)
        assert max(pixels.shape[:2]) == 60
        covered = pixels[..., 3] > 0
        assert covered.mean() == pytest.approx(share, rel=0.05)
        rgb = "#" + "".join(f"{value:02x}" for value in pixels[covered][0][:3])
        assert rgb == COLOURS[4]


def test_an_image_made_small() -> None:
    with Image.open(BytesIO(small_image(picture(0, 240)["bytes"], 60).content)) as image:
        assert (image.size, image.format) == ((60, 60), "JPEG")
    with Image.open(BytesIO(small_image(picture(0, 40)["bytes"], 60).content)) as image:
        assert image.size == (40, 40)  # no larger than it is
    with pytest.raises(InputError, match="cannot be decoded"):
        small_image(b"no image", 60)


def test_a_record_drawn_small() -> None:
    by_id = {row["id"]: row | {"number": None} for row in rows()}
    scan = draw_record(by_id[SCAN], {}, most=2, side=50)
    assert [one.figure.name for one in scan.figures] == ["Slice 1", "Slice 3"] and scan.of == 3
    heart = draw_record(by_id[HEART], {}, most=2, side=50)
    assert heart.of == 2 and len(heart.figures) == 1  # eleven seconds are two sheets
    assert b"0 to 10 s" in heart.figures[0].image.content


def test_labels_that_are_drawn_and_colours() -> None:
    row = rows()[0] | {"masks": [label_map(7)], "mask_info": [mask_info(width=240, height=240)]}
    shown = record_figures(row, {7: "lung"})
    assert shown.layers == [("opacity", 0), ("tube", 1), ("lung", 2)]
    drawn = draw_record(row, {7: "lung"}, most=1, side=120)
    (one,) = drawn.figures
    assert list(drawn.layers) == shown.layers
    assert set(one.masks) == {((0, 7), 2)}
    broken = row | {"masks": [{"bytes": encoded()[:20], "path": "m"}]}
    assert draw_record(broken, {}, most=1, side=120).figures == ()
