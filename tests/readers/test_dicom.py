"""Greys of DICOM images: polarity, windows, tables, ranges and padding, on objects made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import (
    InputError,
    UnreadableFile,
    UsageError,
)
from qoqdata.readers.dicom import Window, read_dicom, read_values
from tests.readers.dicom_objects import change, colour, image, item, levels, row, save, shown

VALUE_RANGE = "no window: full range of the values in the file, padding left out"
BITS_RANGE = "no window: full range of the stored bits"


def voi_table(first: int, table: list[int], bits: int) -> list:
    entry = item()
    entry.add_new("LUTDescriptor", "US", [len(table), first, bits])
    entry.add_new("LUTData", "US", table)
    return [entry]


@pytest.mark.parametrize(
    ("photometric", "shape", "expected", "told"),
    [
        ("MONOCHROME2", None, [0, 128, 255], False),
        ("MONOCHROME2", "IDENTITY", [0, 128, 255], False),
        ("MONOCHROME2", "INVERSE", [255, 127, 0], False),
        ("MONOCHROME1", None, [255, 127, 0], False),
        ("MONOCHROME1", "INVERSE", [255, 127, 0], False),
        ("MONOCHROME1", "IDENTITY", [255, 127, 0], True),
    ],
)
def test_polarity_is_inverted_exactly_once(
    tmp_path: Path, photometric: str, shape: str | None, expected: list[int], told: bool
) -> None:
    # LINEAR 2048/4096: 0 is black, 4095 white, 2048 is (0.5 / 4095 + 0.5) * 255 = 127.53.
    dataset = image(
        row(0, 2048, 4095),
        BitsStored=12,
        HighBit=11,
        WindowCenter=2048,
        WindowWidth=4096,
        PhotometricInterpretation=photometric,
    )
    if shape is not None:
        dataset.PresentationLUTShape = shape
    found = shown(dataset, tmp_path)
    assert found.frames[0, 0].tolist() == expected
    assert found.windows == (Window(2048, 4096),)
    assert bool(found.repairs) is told


def test_first_window_and_its_function_are_used(tmp_path: Path) -> None:
    dataset = image(
        row(0, 50, 100), WindowCenter=[50, 9], WindowWidth=[100, 2], VOILUTFunction="LINEAR_EXACT"
    )
    found = shown(dataset, tmp_path)
    assert found.frames[0, 0].tolist() == [0, 128, 255]
    assert found.windows == (Window(50, 100, "LINEAR_EXACT"),)
    dataset.VOILUTFunction = "SIGMOID"
    # 255 / (1 + e^2) = 30.4 and its mirror.
    assert levels(dataset, tmp_path) == [[30, 128, 225]]


def test_rescale_comes_before_the_window(tmp_path: Path) -> None:
    dataset = image(row(1024, 1064, 1144, dtype="<i2"), RescaleSlope=1, RescaleIntercept=-1024)
    # HU 0, 40, 120; brain 40/120 is LINEAR: (x - 39.5) / 119 + 0.5.
    found = shown(dataset, tmp_path, window="brain")
    assert found.frames[0, 0].tolist() == [43, 129, 255]
    assert found.windows[0] is not None
    assert found.windows[0].name == "brain"
    dataset.RescaleSlope = 2
    # HU 1024, 1104, 1264 are all above 40 + 60.
    assert levels(dataset, tmp_path, window="brain") == [[255, 255, 255]]
    values, _ = read_values(save(dataset, tmp_path / "v.dcm"))
    assert values.dtype == np.float32
    assert values.tolist() == [[[1024.0, 1104.0, 1264.0]]]


def test_named_windows_are_only_for_hounsfield_units(tmp_path: Path) -> None:
    plain = image(row(0, 1))
    with pytest.raises(InputError, match="not in Hounsfield"):
        shown(plain, tmp_path, window="brain")
    change(plain, RescaleSlope=1, RescaleIntercept=0, RescaleType="US")
    with pytest.raises(InputError, match="not in Hounsfield"):
        shown(plain, tmp_path, window="brain")
    change(plain, RescaleType="HU", Modality="MR")
    with pytest.raises(InputError, match="modality is MR"):
        shown(plain, tmp_path, window="brain")
    with pytest.raises(InputError, match="RGB"):
        shown(colour(np.zeros((2, 2, 3), np.uint8)), tmp_path, window=Window(40, 80))
    with pytest.raises(UsageError):
        shown(plain, tmp_path, window="brains")
    # A window in the file's own units is always possible.
    assert levels(plain, tmp_path, window=Window(0.5, 1, "LINEAR_EXACT")) == [[0, 255]]


def test_stray_high_bits_are_dropped_and_the_sign_extended(tmp_path: Path) -> None:
    twelve = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 0, "WindowWidth": 4096}
    unsigned = image(row(0x0005, 0xF005, 0x1005), **twelve)
    assert read_values(save(unsigned, tmp_path / "u.dcm"))[0].tolist() == [[[5.0, 5.0, 5.0]]]
    assert len(set(levels(unsigned, tmp_path)[0])) == 1
    signed = image(row(0x0FFF, 0xFFFF, 0x0800, 0x07FF, dtype="<u2"), **twelve)
    signed.PixelRepresentation = 1
    values = read_values(save(signed, tmp_path / "s.dcm"))[0]
    assert values.tolist() == [[[-1.0, -1.0, -2048.0, 2047.0]]]
    # -2048 is black, 2047 white, -1 is (-0.5 / 4095 + 0.5) * 255 = 127.47.
    assert levels(signed, tmp_path) == [[127, 127, 0, 255]]


@pytest.mark.parametrize("dtype", ["<i1", "<i2", "<i4"])
def test_signed_values_of_every_width(tmp_path: Path, dtype: str) -> None:
    dataset = image(row(-100, 0, 100, dtype=dtype), WindowCenter=0, WindowWidth=200)
    dataset.VOILUTFunction = "LINEAR_EXACT"
    assert levels(dataset, tmp_path) == [[0, 128, 255]]
    assert read_values(tmp_path / "one.dcm")[0].tolist() == [[[-100.0, 0.0, 100.0]]]


def test_without_a_window_deep_images_span_their_values(tmp_path: Path) -> None:
    found = shown(image(row(1000, 1100, 1200)), tmp_path)
    assert found.frames[0, 0].tolist() == [0, 128, 255]
    assert (found.windows, found.repairs) == ((None,), (VALUE_RANGE,))
    wide = shown(image(row(70_000, 71_000, 72_000, dtype="<u4")), tmp_path)
    assert wide.frames[0, 0].tolist() == [0, 128, 255]
    assert levels(image(row(9, 9, 9)), tmp_path) == [[0, 0, 0]]


def test_without_a_window_shallow_images_span_their_bits(tmp_path: Path) -> None:
    found = shown(image(row(10, 20, 200, dtype="u1")), tmp_path)
    assert found.frames[0, 0].tolist() == [10, 20, 200]
    assert found.repairs == (BITS_RANGE,)
    assert levels(image(row(-128, 0, 127, dtype="i1")), tmp_path) == [[0, 128, 255]]


def test_the_range_does_not_depend_on_the_frames_asked_for(tmp_path: Path) -> None:
    path = save(image(np.array([[[0, 100]], [[50, 400]]], "<u2")), tmp_path / "two.dcm")
    whole = read_dicom(path).frames
    assert whole.tolist() == [[[0, 64]], [[32, 255]]]
    assert read_dicom(path, frames=[0]).frames.tolist() == [[[0, 64]]]
    assert read_dicom(path, frames=[1, 0, 1]).frames.tolist() == whole[[1, 0, 1]].tolist()


def test_padding_is_black_and_outside_every_range(tmp_path: Path) -> None:
    dataset = image(row(-2000, 0, 100, 200, dtype="<i2"))
    dataset.add_new("PixelPaddingValue", "SS", -2000)
    assert levels(dataset, tmp_path) == [[0, 0, 128, 255]]
    # Inversion makes low values white, but not the padding.
    dataset.PhotometricInterpretation = "MONOCHROME1"
    assert levels(dataset, tmp_path) == [[0, 255, 127, 0]]
    dataset.WindowCenter, dataset.WindowWidth = 100, 201
    assert levels(dataset, tmp_path)[0][0] == 0
    assert read_values(tmp_path / "one.dcm")[0][0, 0, 0] == -2000


def test_padding_range_and_padding_written_with_the_wrong_sign(tmp_path: Path) -> None:
    dataset = image(row(-2000, -1990, 0, 100, dtype="<i2"))
    dataset.add_new("PixelPaddingValue", "US", 65536 - 2000)
    dataset.add_new("PixelPaddingRangeLimit", "SS", -1990)
    assert levels(dataset, tmp_path) == [[0, 0, 0, 255]]
    # The other way round: -2000 in an unsigned image is the word 63536.
    unsigned = image(row(63536, 0, 100), PhotometricInterpretation="MONOCHROME1")
    unsigned.add_new("PixelPaddingValue", "SS", -2000)
    assert levels(unsigned, tmp_path) == [[0, 255, 0]]
    # In bits above BitsStored: the word is the padding, its stored bits alone are not.
    above = image(row(0xF830, 100, 200), BitsStored=11, HighBit=10)
    above.PhotometricInterpretation = "MONOCHROME1"
    above.add_new("PixelPaddingValue", "US", 0xF830)
    assert levels(above, tmp_path) == [[0, 255, 0]]


def test_all_padding_is_black(tmp_path: Path) -> None:
    dataset = image(row(7, 7), PhotometricInterpretation="MONOCHROME1")
    dataset.add_new("PixelPaddingValue", "US", 7)
    assert levels(dataset, tmp_path) == [[0, 0]]


def test_voi_table_goes_before_a_window(tmp_path: Path) -> None:
    dataset = image(row(0, 10, 11, 12, 99), WindowCenter=5, WindowWidth=3)
    dataset.VOILUTSequence = voi_table(10, [0, 100, 255], 8)
    found = shown(dataset, tmp_path)
    assert found.frames[0, 0].tolist() == [0, 0, 100, 255, 255]
    assert (found.windows, found.repairs) == ((None,), ())
    # A window that is given goes before both.
    given = Window(11, 4, "LINEAR_EXACT")
    assert shown(dataset, tmp_path, window=given).frames[0, 0, 1:4].tolist() == [64, 128, 191]


def test_voi_table_takes_rescaled_values_below_zero(tmp_path: Path) -> None:
    dataset = image(row(1023, 1024, 1025), RescaleSlope=1, RescaleIntercept=-1024)
    # First mapped value -1, written as US.
    dataset.VOILUTSequence = voi_table(65535, [0, 4095, 1024], 12)
    assert levels(dataset, tmp_path) == [[0, 255, 64]]


def test_modality_table_replaces_the_rescale(tmp_path: Path) -> None:
    dataset = image(row(0, 1, 2), RescaleSlope=99, RescaleIntercept=5)
    dataset.ModalityLUTSequence = voi_table(0, [500, 600, 900], 16)
    assert read_values(save(dataset, tmp_path / "m.dcm"))[0].tolist() == [[[500.0, 600.0, 900.0]]]
    assert levels(dataset, tmp_path) == [[0, 64, 255]]


@pytest.mark.parametrize("length", [2, 5])
def test_tables_of_the_wrong_length_are_refused(tmp_path: Path, length: int) -> None:
    dataset = image(row(0, 1))
    dataset.VOILUTSequence = voi_table(0, [0] * length, 16)
    dataset.VOILUTSequence[0]["LUTDescriptor"].value = [4, 0, 16]
    with pytest.raises(UnreadableFile, match="LUTData"):
        shown(dataset, tmp_path)


def test_half_a_rescale_and_unusable_windows_are_told(tmp_path: Path) -> None:
    half = shown(image(row(0, 10), RescaleIntercept=5), tmp_path)
    assert any("half a rescale" in note for note in half.repairs)
    flat = shown(image(row(0, 10), WindowCenter=5, WindowWidth=0), tmp_path)
    assert flat.windows == (None,)
    assert flat.repairs == ("window width of 0 or less: the window is not used", VALUE_RANGE)
    narrow = shown(image(row(0, 1), WindowCenter=0.5, WindowWidth=0.5), tmp_path)
    assert narrow.windows == (Window(0.5, 0.5, "LINEAR_EXACT"),)
    with pytest.raises(UnreadableFile, match="RescaleSlope is 0"):
        shown(image(row(0, 10), RescaleSlope=0, RescaleIntercept=5), tmp_path)


def test_enhanced_frames_use_their_own_rescale_and_window(tmp_path: Path) -> None:
    dataset = image(np.array([[[0, 100]], [[0, 100]], [[0, 100]]], "<u2"))
    dataset.SharedFunctionalGroupsSequence = [
        item(
            PixelValueTransformationSequence=[item(RescaleSlope=1, RescaleIntercept=0)],
            PixelMeasuresSequence=[item(PixelSpacing=[0.5, 0.5])],
            FrameVOILUTSequence=[item(WindowCenter=50, WindowWidth=101)],
        )
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(),
        item(PixelValueTransformationSequence=[item(RescaleSlope=2, RescaleIntercept=-50)]),
        item(FrameVOILUTSequence=[item(WindowCenter=100, WindowWidth=201)]),
    ]
    found = shown(dataset, tmp_path)
    # LINEAR 50/101: (x - 49.5) / 100 + 0.5; LINEAR 100/201: (x - 99.5) / 200 + 0.5.
    assert found.frames[:, 0].tolist() == [[1, 255], [0, 255], [1, 128]]
    assert found.repairs == ("windows differ between frames: each frame is shown with its own",)
    assert found.windows == (Window(50, 101), Window(50, 101), Window(100, 201))
    assert found.spacing == (0.5, 0.5)
    assert read_values(tmp_path / "one.dcm", frames=[1])[0].tolist() == [[[-50.0, 150.0]]]


def test_float_pixels(tmp_path: Path) -> None:
    dataset = image(np.zeros((1, 4), "<u4"), Modality="MR")
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, keyword)
    values = np.array([-1.5, 0.0, np.nan, 1.5], "<f4")
    dataset.add_new("FloatPixelData", "OF", values.tobytes())
    assert levels(dataset, tmp_path) == [[0, 128, 0, 255]]
    found = read_values(tmp_path / "one.dcm")[0]
    assert np.array_equal(found[0, 0], values, equal_nan=True)
    with pytest.raises(InputError, match="no modality values"):
        read_values(save(colour(np.zeros((2, 2, 3), np.uint8)), tmp_path / "rgb.dcm"))
