"""Label maps: codes as they were drawn, boxes against plain loops, grids that must match."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from qoqdata.errors import BadLabel, Misaligned, TooLarge, UnreadableFile, UnsupportedFormat
from qoqdata.readers import encode, masks
from qoqdata.readers.image.reader import read_image
from qoqdata.readers.limits import Limits
from qoqdata.readers.masks import LabelBox
from tests.readers import encoded_images as made

LESION = {255: "lesion"}


def _file(tmp_path: Path, data: bytes, name: str = "mask.png") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def _grey_palette(levels: list[int]) -> bytes:
    return made.chunk(b"PLTE", bytes(level for level in levels for _ in range(3)))


# --- reading -------------------------------------------------------------------------------------


def test_binary_mask(tmp_path: Path) -> None:
    drawn = np.zeros((5, 7), np.uint8)
    drawn[1:3, 2:5] = 255
    got = masks.read_mask(_file(tmp_path, encode.label_png(drawn)), codes=LESION)
    np.testing.assert_array_equal(got.codes, drawn)
    assert (got.table, got.ignore, got.codes.dtype) == (LESION, (), np.uint8)


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_codes_of_every_depth_are_the_stored_ones(tmp_path: Path, depth: int) -> None:
    """Viewers stretch 2-bit code 3 to 255; the code is 3."""
    drawn = made.noise((6, 9), depth)
    table = {int(code): str(code) for code in np.unique(drawn)}
    got = masks.read_mask(_file(tmp_path, made.png(drawn, 0, depth)), codes=table)
    np.testing.assert_array_equal(got.codes, drawn)
    assert got.codes.dtype == (np.uint16 if depth == 16 else np.uint8)


def test_reversed_grey_palette_shows_what_was_drawn(tmp_path: Path) -> None:
    """Index 0 is white here, as in some HAM10000 masks: the lesion is index 0."""
    indices = np.array([[1, 1, 1], [1, 0, 1]], np.uint8)
    data = made.png(indices, 3, 8, _grey_palette([255, 0]))
    got = masks.read_mask(_file(tmp_path, data), codes=LESION)
    assert got.codes.tolist() == [[0, 0, 0], [0, 255, 0]]


def test_a_palette_that_numbers_black_as_it_likes_is_refused(tmp_path: Path) -> None:
    """Index 2 is all around and black: taken as a code, the box of B would be the image."""
    indices = np.full((4, 6), 2, np.uint8)
    indices[1:3, 2:4] = [[0, 1], [0, 1]]
    palette = made.chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0, 0, 0, 0]))
    path = _file(tmp_path, made.png(indices, 3, 8, palette))
    with pytest.raises(BadLabel, match=r"black at index 2.*mask_colours"):
        masks.read_mask(path, codes={1: "A", 2: "B"})
    colours = {(0, 0, 0): 0, (255, 0, 0): 1, (0, 255, 0): 2}
    found = masks.read_mask(path, codes={1: "A", 2: "B"}, colours=colours)
    assert found.codes[1].tolist() == [0, 0, 1, 2, 0, 0]
    # Black that no pixel has, as what is left of a palette, says nothing.
    unused = _file(tmp_path, made.png(np.minimum(indices, 1), 3, 8, palette))
    assert masks.read_mask(unused, codes={1: "A"}).codes.max() == 1


def test_indices_of_a_coloured_palette_are_the_codes(tmp_path: Path) -> None:
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    palette = made.chunk(b"PLTE", bytes([0, 0, 0, 128, 0, 0, 128, 128, 128]))
    path = _file(tmp_path, made.png(indices, 3, 8, palette))
    got = masks.read_mask(path, codes={1: "liver", 2: "spleen"})
    np.testing.assert_array_equal(got.codes, indices)
    painted = masks.read_mask(
        path,
        codes={7: "liver", 300: "spleen"},
        colours={(0, 0, 0): 0, (128, 0, 0): 7, (128, 128, 128): 300},
    )
    assert painted.codes.tolist() == [[0, 7], [300, 7]]
    assert painted.codes.dtype == np.uint16


def test_unknown_codes_are_named(tmp_path: Path) -> None:
    path = _file(tmp_path, encode.label_png(np.array([[0, 1, 4, 9]], np.uint8)))
    with pytest.raises(BadLabel, match="2 codes that the table lacks: 4, 9") as caught:
        masks.read_mask(path, codes={1: "tumour"})
    assert caught.value.where == str(path)
    got = masks.read_mask(path, codes={1: "tumour"}, ignore=[9, 4])
    assert got.ignore == (4, 9)


def test_equal_channels_are_one_and_colours_need_a_table(tmp_path: Path) -> None:
    drawn = np.array([[0, 255], [255, 0]], np.uint8)
    path = _file(tmp_path, encode.png(np.dstack([drawn] * 3)))
    np.testing.assert_array_equal(masks.read_mask(path, codes=LESION).codes, drawn)
    colour = np.zeros((2, 2, 3), np.uint8)
    colour[0, 1] = (255, 0, 0)
    path = _file(tmp_path, encode.png(colour))
    with pytest.raises(BadLabel, match="coloured"):
        masks.read_mask(path, codes=LESION)
    with pytest.raises(BadLabel, match="#ff0000"):
        masks.read_mask(path, codes=LESION, colours={(0, 0, 0): 0})
    table = {(0, 0, 0): 0, (255, 0, 0): 3}
    assert masks.read_mask(path, codes={3: "cup"}, colours=table).codes.tolist() == [[0, 3], [0, 0]]


def test_lossy_masks_need_binarise(tmp_path: Path) -> None:
    drawn = np.zeros((40, 40), np.uint8)
    drawn[8:24, 8:30] = 255
    path = _file(tmp_path, made.saved(drawn, "JPEG", quality=80), "mask.png")
    assert len(np.unique(read_image(path).pixels)) > 2  # noise around the edges
    with pytest.raises(UnsupportedFormat, match="lossy"):
        masks.read_mask(path, codes=LESION)
    np.testing.assert_array_equal(masks.read_mask(path, codes=LESION, binarise=True).codes, drawn)
    as_one = masks.read_mask(path, codes={0: "skin", 1: "lesion"}, binarise=True)
    np.testing.assert_array_equal(as_one.codes, drawn // 255)


def test_the_threshold_is_inclusive(tmp_path: Path) -> None:
    values = np.zeros((10, 20), np.uint8)
    values[0, :3] = (99, 100, 101)
    path = _file(tmp_path, encode.label_png(values))
    got = masks.read_mask(path, codes={1: "lesion"}, binarise=True, threshold=100)
    assert got.codes[0, :4].tolist() == [0, 1, 1, 0]
    assert masks.read_mask(path, codes={1: "lesion"}, binarise=True).codes.sum() == 0


def test_what_binarise_refuses(tmp_path: Path) -> None:
    photograph = _file(tmp_path, made.saved(made.smooth()[..., 0], "JPEG"), "a.jpg")
    with pytest.raises(BadLabel, match="not a binary mask"):
        masks.read_mask(photograph, codes=LESION, binarise=True)
    with pytest.raises(BadLabel, match="exactly one"):
        masks.read_mask(photograph, codes={1: "a", 2: "b"}, binarise=True)
    deep = _file(tmp_path, made.png(made.noise((4, 4), 16), 0, 16))
    with pytest.raises(UnsupportedFormat, match="8-bit"):
        masks.read_mask(deep, codes=LESION, binarise=True)
    with pytest.raises(ValueError, match="not both"):
        masks.read_mask(deep, codes=LESION, binarise=True, colours={(0, 0, 0): 0})


def test_transparent_masks_are_refused(tmp_path: Path) -> None:
    pixels = np.zeros((3, 3, 4), np.uint8)
    with pytest.raises(UnsupportedFormat, match="transparent"):
        masks.read_mask(_file(tmp_path, made.saved(pixels, "PNG")), codes=LESION)


def test_a_mask_is_turned_like_its_image(tmp_path: Path) -> None:
    drawn = np.array([[0, 255, 0], [0, 0, 0]], np.uint8)
    data = made.png(drawn, 0, 8, made.chunk(b"eXIf", made.exif(8)))
    got = masks.read_mask(_file(tmp_path, data), codes=LESION)
    assert got.codes.tolist() == [[0, 0], [255, 0], [0, 0]]


def test_damage_and_size_as_for_images(tmp_path: Path) -> None:
    data = encode.label_png(np.zeros((4, 4), np.uint8))
    with pytest.raises(UnreadableFile):
        masks.read_mask(_file(tmp_path, data[:-6]), codes=LESION)
    bomb = made.png(np.zeros((4, 4), np.uint8), 0, 8, size=(60000, 60000))
    with pytest.raises(TooLarge):
        masks.read_mask(_file(tmp_path, bomb), codes=LESION, limits=Limits(image_pixels=10**6))


@pytest.mark.parametrize("suffix", ["TIFF", "BMP", "GIF"])
def test_masks_of_other_lossless_formats(tmp_path: Path, suffix: str) -> None:
    drawn = made.noise((9, 9), 2)
    got = masks.read_mask(
        _file(tmp_path, made.saved(drawn, suffix)), codes={1: "a", 2: "b", 3: "c"}
    )
    np.testing.assert_array_equal(got.codes, drawn)


# --- boxes ---------------------------------------------------------------------------------------


def test_half_open_pixel_edges() -> None:
    codes = np.zeros((10, 10), np.uint8)
    codes[2:5, 3:8] = 1
    assert masks.boxes(codes, {1: "nodule"}) == [LabelBox("nodule", 1, 3, 2, 8, 5, 15)]


def test_an_empty_mask_has_no_boxes() -> None:
    empty = np.zeros((4, 4), np.uint8)
    assert masks.boxes(empty, LESION) == []
    assert masks.boxes(empty, LESION, instances=True) == []


def test_union_against_instances_and_smallest_area() -> None:
    codes = np.zeros((6, 12), np.uint16)
    codes[0, 0] = codes[1, 1] = 300  # touches over the corner: one component
    codes[4:6, 8:12] = 300
    codes[0, 6] = 2
    table = {300: "drusen", 2: "disc"}
    assert masks.boxes(codes, table) == [
        LabelBox("disc", 2, 6, 0, 7, 1, 1),
        LabelBox("drusen", 300, 0, 0, 12, 6, 10),
    ]
    assert masks.boxes(codes, table, instances=True, min_area=2) == [
        LabelBox("drusen", 300, 0, 0, 2, 2, 2),
        LabelBox("drusen", 300, 8, 4, 12, 6, 8),
    ]
    assert masks.boxes(codes, {2: "disc"}, min_area=2) == []


def test_codes_outside_the_table_give_no_box() -> None:
    codes = np.array([[0, 1, 255]], np.uint8)
    assert [box.code for box in masks.boxes(codes, {1: "a"})] == [1]
    assert [box.code for box in masks.boxes(codes, {0: "ground", 1: "a"})] == [0, 1]


@pytest.mark.parametrize("codes", [np.zeros((2, 2)), np.zeros((2, 2, 3), np.uint8)])
def test_boxes_of_something_else(codes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="integers"):
        masks.boxes(codes, LESION)


def _flooded(codes: np.ndarray, code: int) -> list[tuple[int, int, int, int, int]]:
    """Components of one code by flood fill, pixel by pixel."""
    todo = {(int(y), int(x)) for y, x in zip(*np.nonzero(codes == code), strict=True)}
    found = []
    while todo:
        edge, part = [todo.pop()], []
        while edge:
            y, x = edge.pop()
            part.append((y, x))
            for step in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if step in todo:
                    todo.remove(step)
                    edge.append(step)
        ys, xs = [y for y, _ in part], [x for _, x in part]
        found.append((min(xs), min(ys), max(xs) + 1, max(ys) + 1, len(part)))
    return found


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3))
)
def test_boxes_against_plain_loops(codes: np.ndarray) -> None:
    table = {1: "a", 2: "b", 3: "c"}
    single = masks.boxes(codes, table, instances=True)
    expected = [
        (code, y0, x0, x1, y1, area)
        for code in table
        for x0, y0, x1, y1, area in _flooded(codes, code)
    ]
    got = [(b.code, b.y_min, b.x_min, b.x_max, b.y_max, b.area) for b in single]
    assert sorted(got) == sorted(expected)
    assert [key[:3] for key in got] == sorted(key[:3] for key in got)
    for box in masks.boxes(codes, table):
        parts = [b for b in single if b.code == box.code]
        assert box.area == sum(b.area for b in parts) == (codes == box.code).sum()
        assert (box.x_min, box.y_min) == (min(b.x_min for b in parts), min(b.y_min for b in parts))
        assert (box.x_max, box.y_max) == (max(b.x_max for b in parts), max(b.y_max for b in parts))


# --- align ---------------------------------------------------------------------------------------


def test_the_same_grid_passes() -> None:
    codes = made.noise((4, 6))
    assert masks.align(codes, (4, 6)) is codes


def test_another_grid_is_refused_unless_asked() -> None:
    with pytest.raises(Misaligned, match="450 x 600 pixels, image 150 x 200"):
        masks.align(np.zeros((450, 600), np.uint8), (150, 200))


def test_shrinking_takes_the_middle_pixel() -> None:
    codes = np.arange(36, dtype=np.uint8).reshape(6, 6)
    with pytest.raises(Misaligned, match="lose"):
        masks.align(codes, (2, 2), resize="nearest")
    blocks = np.kron(np.array([[1, 2], [3, 4]], np.uint8), np.ones((3, 3), np.uint8))
    blocks[0, 0] = 2  # a corner of the first block, not its middle
    assert masks.align(blocks, (2, 2), resize="nearest").tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_growing_and_shrinking_back(factor: int) -> None:
    codes = made.noise((7, 4), 16)
    grown = masks.align(codes, (7 * factor, 4 * factor), resize="nearest")
    np.testing.assert_array_equal(grown, np.kron(codes, np.ones((factor, factor), np.uint16)))
    np.testing.assert_array_equal(masks.align(grown, (7, 4), resize="nearest"), codes)


@pytest.mark.parametrize("shape", [(6, 12), (12, 6), (9, 9), (6, 4), (4, 6), (7, 7), (3, 6)])
def test_uneven_factors_are_refused(shape: tuple[int, int]) -> None:
    """Among them the swap of width and height."""
    with pytest.raises(Misaligned, match="no whole factor"):
        masks.align(np.ones((6, 6), np.uint8), shape, resize="nearest")


# --- real files ----------------------------------------------------------------------------------


def test_ham10000_masks_surround_their_lesions(realdata: Path) -> None:
    """Most lesions are less green than the skin around them: reversed masks would fail this."""
    root = realdata / "dermoscopy/ham10000_small"
    less_green: dict[str, list[bool]] = {"P": [], "L": []}
    for path in sorted((root / "masks").glob("*.png")):
        label_map = masks.read_mask(path, codes=LESION)
        opened = Image.open(io.BytesIO(path.read_bytes()))
        shown = np.asarray(opened.convert("L"))
        np.testing.assert_array_equal(label_map.codes, shown)
        image = read_image(root / "images" / path.name.replace("_segmentation.png", ".jpg")).pixels
        lesion = masks.align(label_map.codes, image.shape[:2], resize="nearest") == 255
        (box,) = masks.boxes(label_map.codes, LESION)
        rows, columns = np.nonzero(shown)
        assert (box.x_min, box.y_min) == (columns.min(), rows.min())
        assert (box.x_max, box.y_max, box.area) == (
            columns.max() + 1,
            rows.max() + 1,
            len(rows),
        )
        green = image[..., 1]
        less_green[opened.mode].append(green[lesion].mean() < green[~lesion].mean())
    # One of the ten palette masks belongs to a pale scar, which is right, seen by eye.
    assert (sum(less_green["P"]), len(less_green["P"])) == (9, 10)
    assert (sum(less_green["L"]), len(less_green["L"])) == (134, 146)


def test_fundus_vessels(realdata: Path) -> None:
    for path in sorted((realdata / "fundus/CHASEDB1").glob("*HO.png")):
        got = masks.read_mask(path, codes={1: "vessel"})
        np.testing.assert_array_equal(got.codes, np.asarray(Image.open(path)))
        assert got.codes.shape == (960, 999)
        with pytest.raises(BadLabel):
            masks.read_mask(path, codes=LESION)


def test_jpeg_masks_of_covidx(realdata: Path) -> None:
    paths = sorted((realdata / "ultrasound/COVIDx-US/data/mask").glob("*.jpg"))
    assert len(paths) == 12
    for path in paths:
        with pytest.raises(UnsupportedFormat):
            masks.read_mask(path, codes={255: "field"})
        got = masks.read_mask(path, codes={255: "field"}, binarise=True)
        shown = np.asarray(Image.open(path))
        np.testing.assert_array_equal(got.codes, np.where(shown >= 128, 255, 0))
