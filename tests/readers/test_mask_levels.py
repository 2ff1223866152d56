"""Masks in grey levels: soft edges, JPEG, unusual depths, each read as told or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from qoqdata.errors import BadLabel, InputError, UnsupportedFormat
from qoqdata.readers import masks

LESION = {255: "lesion"}


def disc(size: int = 64, radius: float = 18) -> np.ndarray:
    """A filled circle, True inside."""
    rows, columns = np.indices((size, size))
    return (rows - size / 2) ** 2 + (columns - size / 2) ** 2 < radius**2


def soft(size: int = 64) -> np.ndarray:
    """The circle drawn four times larger and averaged, as antialiasing does: 0 to 255."""
    large = disc(4 * size, 72).reshape(size, 4, size, 4)
    return (large.mean(axis=(1, 3)) * 255).round().astype(np.uint8)


def saved(path: Path, pixels: np.ndarray, mode: str | None = None, **options: Any) -> Path:
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("quality", [60, 75, 90])
def test_a_jpeg_mask_is_thresholded_as_told(tmp_path: Path, mode: str, quality: int) -> None:
    path = saved(tmp_path / "m.jpg", disc() * np.uint8(255), mode, quality=quality)
    shown = np.asarray(Image.open(path).convert("L"))
    assert len(np.unique(shown)) > 2
    for threshold in (100, 128):
        got = masks.read_mask(path, codes={7: "a"}, binarise=True, threshold=threshold)
        np.testing.assert_array_equal(got.codes, np.where(shown >= threshold, 7, 0))
        assert got.notes[-1].startswith(f"binarised at {threshold}, ")
    middle = int(((shown >= 64) & (shown < 192)).sum())
    got = masks.read_mask(path, codes={7: "a"}, binarise=True)
    assert f"{middle} of 4,096 pixels between 64 and 191" in got.notes[-1]


def test_a_jpeg_is_read_untold_only_where_all_thresholds_agree(tmp_path: Path) -> None:
    square = np.zeros((64, 64), np.uint8)
    square[20:40, 10:50] = 255
    path = saved(tmp_path / "m.jpg", square, "RGB", quality=90)
    got = masks.read_mask(path, codes=LESION, binarise=None)
    np.testing.assert_array_equal(got.codes, square)
    assert got.notes[-1] == "binarised at 128, 0 of 4,096 pixels between 64 and 191"
    empty = saved(tmp_path / "empty.jpg", square * 0)
    assert not masks.read_mask(empty, codes=LESION, binarise=None).codes.any()
    # Another code than white, a second code, soft edges, and dark levels leave doubt.
    edges = saved(tmp_path / "soft.jpg", soft())
    dark = saved(tmp_path / "dark.jpg", disc() * np.uint8(1), quality=95)
    assert np.asarray(Image.open(dark)).any()
    two = LESION | {128: "cyst"}
    for file, codes in ((path, {1: "a"}), (path, two), (edges, LESION), (dark, LESION)):
        with pytest.raises(UnsupportedFormat, match="lossy") as caught:
            masks.read_mask(file, codes=codes, binarise=None)
        assert "`binarise: true`" in str(caught.value.fix)
    table = {(0, 0, 0): 0, (255, 255, 255): 255}
    with pytest.raises(UnsupportedFormat, match="lossy"):
        masks.read_mask(path, codes=LESION, colours=table, binarise=None)
    # Lossless levels are the codes, whatever the threshold would give.
    with pytest.raises(BadLabel):
        masks.read_mask(saved(tmp_path / "soft.png", soft()), codes=LESION, binarise=None)


def test_soft_edges_of_a_png_name_their_fix(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.png", soft())
    with pytest.raises(BadLabel, match="codes that the table lacks") as caught:
        masks.read_mask(path, codes=LESION)
    assert "set `binarise: true`" in str(caught.value.fix)
    got = masks.read_mask(path, codes=LESION, binarise=True)
    np.testing.assert_array_equal(got.codes == 255, soft() >= 128)
    assert (got.codes == 255).sum() == pytest.approx(np.pi * 18**2, rel=0.01)


@pytest.mark.parametrize(("drawn", "named"), [(1, 255), (255, 1), (7, 255)])
def test_one_structure_under_another_code(tmp_path: Path, drawn: int, named: int) -> None:
    path = saved(tmp_path / "m.png", disc() * np.uint8(drawn))
    with pytest.raises(BadLabel, match=f"lacks: {drawn}$|lacks: {drawn}") as caught:
        masks.read_mask(path, codes={named: "a"})
    assert caught.value.fix == f"its one structure has the code {drawn}: name that under mask_codes"
    got = masks.read_mask(path, codes={drawn: "a"})
    np.testing.assert_array_equal(got.codes, disc() * np.uint8(drawn))


def test_a_dark_mask_is_not_binarised_to_nothing(tmp_path: Path) -> None:
    """Codes 0 and 1 taken for grey levels would be an empty mask."""
    path = saved(tmp_path / "m.png", disc() * np.uint8(1))
    with pytest.raises(
        BadLabel, match="no pixel reaches the threshold 128, the highest level is 1"
    ):
        masks.read_mask(path, codes=LESION, binarise=True)
    got = masks.read_mask(path, codes=LESION, binarise=True, threshold=1)
    np.testing.assert_array_equal(got.codes == 255, disc())


@pytest.mark.parametrize("threshold", [1, 128, 255])
def test_one_bit_is_black_and_white(tmp_path: Path, threshold: int) -> None:
    path = saved(tmp_path / "m.png", disc(), "1")
    np.testing.assert_array_equal(masks.read_mask(path, codes={1: "a"}).codes, disc())
    got = masks.read_mask(path, codes=LESION, binarise=True, threshold=threshold)
    np.testing.assert_array_equal(got.codes == 255, disc())


def test_sixteen_bits_are_codes(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.png", disc().astype(np.uint16) * 65535)
    got = masks.read_mask(path, codes={65535: "a"})
    np.testing.assert_array_equal(got.codes == 65535, disc())
    with pytest.raises(BadLabel, match="65535") as caught:
        masks.read_mask(path, codes=LESION)
    assert "the code 65535" in str(caught.value.fix)
    with pytest.raises(UnsupportedFormat, match="8-bit") as caught:
        masks.read_mask(path, codes=LESION, binarise=True)
    assert "under mask_codes, without binarise" in str(caught.value.fix)


def test_painted_masks(tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[disc()] = (255, 0, 0)
    path = saved(tmp_path / "m.png", pixels)
    with pytest.raises(BadLabel, match="coloured") as caught:
        masks.read_mask(path, codes=LESION)
    assert "mask_colours:" in str(caught.value.fix)
    with pytest.raises(BadLabel, match="channels do not agree") as caught:
        masks.read_mask(path, codes=LESION, binarise=True)
    assert "mask_colours" in str(caught.value.fix)
    got = masks.read_mask(path, codes=LESION, colours={(0, 0, 0): 0, (255, 0, 0): 255})
    np.testing.assert_array_equal(got.codes == 255, disc())


def test_grey_palettes_and_opaque_alpha(tmp_path: Path) -> None:
    grey = disc() * np.uint8(255)
    for mode in ("P", "LA", "RGBA"):
        got = masks.read_mask(saved(tmp_path / f"{mode}.png", grey, mode), codes=LESION)
        np.testing.assert_array_equal(got.codes, grey)
    clear = np.dstack([grey, grey, grey, grey])
    with pytest.raises(UnsupportedFormat, match="transparent") as caught:
        masks.read_mask(saved(tmp_path / "m.png", clear), codes=LESION)
    assert "without an alpha channel" in str(caught.value.fix)


@pytest.mark.parametrize("binarise", [False, None, True])
@pytest.mark.parametrize("name", ["m.png", "m.jpg"])
def test_cut_masks_are_refused(tmp_path: Path, name: str, binarise: bool | None) -> None:
    path = saved(tmp_path / name, disc() * np.uint8(255))
    whole = path.read_bytes()
    for length in range(0, len(whole) - 12, max(1, len(whole) // 25)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            masks.read_mask(path, codes=LESION, binarise=binarise)
