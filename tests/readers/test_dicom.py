"""Reading DICOM images: polarity, padding, tables, layout and facts, on objects made here."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import MPEG2MPML, JPEGBaseline8Bit

from qoqdata.errors import (
    InputError,
    MissingFile,
    NoPixels,
    TooLarge,
    UnreadableFile,
    UnsupportedFormat,
    UsageError,
)
from qoqdata.readers.dicom import DicomImage, Window, read, read_values
from qoqdata.readers.limits import Limits

from .dicom_objects import change, colour, image, item, save

VALUE_RANGE = "no window: full range of the values in the file, padding left out"
BITS_RANGE = "no window: full range of the stored bits"


def shown(dataset: FileDataset, tmp_path: Path, **options: object) -> DicomImage:
    return read(save(dataset, tmp_path / "one.dcm"), **options)  # type: ignore[arg-type]


def levels(dataset: FileDataset, tmp_path: Path, **options: object) -> list:
    return shown(dataset, tmp_path, **options).frames[0].tolist()


def row(*values: int, dtype: str = "<u2") -> np.ndarray:
    return np.array([values], dtype)


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
    assert found.window == Window(2048, 4096)
    assert bool(found.repairs) is told


def test_first_window_and_its_function_are_used(tmp_path: Path) -> None:
    dataset = image(
        row(0, 50, 100), WindowCenter=[50, 9], WindowWidth=[100, 2], VOILUTFunction="LINEAR_EXACT"
    )
    found = shown(dataset, tmp_path)
    assert found.frames[0, 0].tolist() == [0, 128, 255]
    assert found.window == Window(50, 100, "LINEAR_EXACT")
    dataset.VOILUTFunction = "SIGMOID"
    # 255 / (1 + e^2) = 30.4 and its mirror.
    assert levels(dataset, tmp_path) == [[30, 128, 225]]


def test_rescale_comes_before_the_window(tmp_path: Path) -> None:
    dataset = image(row(1024, 1064, 1144, dtype="<i2"), RescaleSlope=1, RescaleIntercept=-1024)
    # HU 0, 40, 120; brain 40/120 is LINEAR: (x - 39.5) / 119 + 0.5.
    found = shown(dataset, tmp_path, window="brain")
    assert found.frames[0, 0].tolist() == [43, 129, 255]
    assert found.window is not None
    assert found.window.name == "brain"
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
    assert (found.window, found.repairs) == (None, (VALUE_RANGE,))
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
    whole = read(path).frames
    assert whole.tolist() == [[[0, 64]], [[32, 255]]]
    assert read(path, frames=[0]).frames.tolist() == [[[0, 64]]]
    assert read(path, frames=[1, 0, 1]).frames.tolist() == whole[[1, 0, 1]].tolist()


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
    # In bits above BitsStored: the word is the padding, its stored bits alone are not.
    above = image(row(0xF830, 100, 200), BitsStored=11, HighBit=10)
    above.PhotometricInterpretation = "MONOCHROME1"
    above.add_new("PixelPaddingValue", "US", 0xF830)
    assert levels(above, tmp_path) == [[0, 255, 0]]


def test_all_padding_is_black(tmp_path: Path) -> None:
    dataset = image(row(7, 7), PhotometricInterpretation="MONOCHROME1")
    dataset.add_new("PixelPaddingValue", "US", 7)
    assert levels(dataset, tmp_path) == [[0, 0]]


def voi_table(first: int, table: list[int], bits: int) -> list:
    entry = item()
    entry.add_new("LUTDescriptor", "US", [len(table), first, bits])
    entry.add_new("LUTData", "US", table)
    return [entry]


def test_voi_table_goes_before_a_window(tmp_path: Path) -> None:
    dataset = image(row(0, 10, 11, 12, 99), WindowCenter=5, WindowWidth=3)
    dataset.VOILUTSequence = voi_table(10, [0, 100, 255], 8)
    found = shown(dataset, tmp_path)
    assert found.frames[0, 0].tolist() == [0, 0, 100, 255, 255]
    assert (found.window, found.repairs) == (None, ())
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
    assert flat.window is None
    assert flat.repairs == ("window width of 0 or less: the window is not used", VALUE_RANGE)
    narrow = shown(image(row(0, 1), WindowCenter=0.5, WindowWidth=0.5), tmp_path)
    assert narrow.window == Window(0.5, 0.5, "LINEAR_EXACT")
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
    assert found.window == Window(50, 101)
    assert found.spacing == (0.5, 0.5)
    assert read_values(tmp_path / "one.dcm", frames=[1])[0].tolist() == [[[-50.0, 150.0]]]


def test_pixels_that_are_not_square_are_resampled_once(tmp_path: Path) -> None:
    dataset = image(np.full((4, 6), 100, "u1"), PixelSpacing=[2, 1])
    found = shown(dataset, tmp_path)
    assert found.frames.shape == (1, 8, 6)
    assert found.spacing == (1.0, 1.0)
    assert (found.pixel_aspect, found.original_rows, found.original_columns) == (2.0, 4, 6)
    assert "pixels were not square: resampled to square" in found.repairs
    assert (found.frames == 100).all()
    kept = shown(dataset, tmp_path, square=False)
    assert (kept.frames.shape, kept.spacing) == ((1, 4, 6), (2.0, 1.0))
    ratio = shown(change(dataset, PixelSpacing=None, PixelAspectRatio=[1, 2]), tmp_path)
    assert ratio.frames.shape == (1, 4, 12)
    assert ratio.spacing is None


def test_spacing_is_the_patient_s_before_the_detector_s(tmp_path: Path) -> None:
    dataset = image(row(0, 1), ImagerPixelSpacing=[0.2, 0.2])
    found = shown(dataset, tmp_path)
    assert (found.spacing, found.spacing_kind) == ((0.2, 0.2), "ImagerPixelSpacing")
    found = shown(change(dataset, PixelSpacing=[0.1, 0.1]), tmp_path)
    assert (found.spacing, found.spacing_kind) == ((0.1, 0.1), "PixelSpacing")


@pytest.mark.parametrize(
    ("age", "years"),
    [
        ("045Y", 45),
        ("018M", 1),
        ("012M", 1),
        ("011M", 0),
        ("106W", 2),
        ("010D", 0),
        ("62", 62),
        ("62y", 62),
        ("999Y", None),
        ("old", None),
        ("", None),
    ],
)
def test_age_in_whole_years(tmp_path: Path, age: str, years: int | None) -> None:
    dataset = image(row(0, 1))
    dataset.add_new("PatientAge", "LO", age)
    assert shown(dataset, tmp_path).age == years


def test_facts_hold_no_names_dates_or_free_text(tmp_path: Path) -> None:
    secret = {
        "PatientName": "Doe^Jane",
        "PatientBirthDate": "19700101",
        "StudyDate": "20200202",
        "StudyDescription": "follow-up for Jane Doe",
        "InstitutionName": "St Elsewhere",
        "ImageComments": "call Dr Who",
    }
    dataset = image(
        row(0, 1),
        **secret,
        PatientID="12345",
        PatientSex="F",
        BodyPartExamined="chest",
        ViewPosition="PA",
        Laterality="L",
        PatientOrientation=["L", "F"],
        FrameTime=33.3,
    )
    found = shown(dataset, tmp_path)
    assert (found.modality, found.body_part, found.view) == ("CT", "CHEST", "PA")
    assert (found.laterality, found.patient_orientation) == ("L", ("L", "F"))
    assert (found.sex, found.frame_time_ms, found.patient_id) == ("female", 33.3, "12345")
    told = str([getattr(found, field.name) for field in fields(found) if field.name != "frames"])
    assert not any(value in told for value in secret.values())
    # Free text in a code string element is left out, and so is nonsense.
    dataset.add_new("BodyPartExamined", "LO", "chest of Mrs Doe, standing")
    change(dataset, PatientSex="X", Laterality="Q", PatientOrientation=["?", "F"], FrameTime=-1)
    found = shown(dataset, tmp_path)
    assert found.body_part is found.sex is found.laterality is found.patient_orientation is None
    assert found.frame_time_ms is None


def test_mammography_view_from_its_code(tmp_path: Path) -> None:
    dataset = image(row(0, 1), ImageLaterality="R", Laterality="L")
    dataset.ViewCodeSequence = [item(CodeValue="399368009", CodingSchemeDesignator="SCT")]
    found = shown(dataset, tmp_path)
    assert (found.view, found.laterality) == ("MLO", "R")


def test_missing_preamble_and_transfer_syntax_are_repaired_and_told(tmp_path: Path) -> None:
    dataset = image(row(0, 100), WindowCenter=50, WindowWidth=101)
    whole = save(dataset, tmp_path / "whole.dcm").read_bytes()
    expected = read(tmp_path / "whole.dcm").frames.tolist()
    (tmp_path / "meta").write_bytes(whole[132:])
    found = read(tmp_path / "meta")
    assert found.frames.tolist() == expected
    assert found.repairs == ("no preamble: read as DICOM from the first byte",)
    length = int.from_bytes(whole[140:144], "little")
    (tmp_path / "bare").write_bytes(whole[144 + length :])
    found = read(tmp_path / "bare")
    assert found.frames.tolist() == expected
    assert "no transfer syntax: read as Explicit VR Little Endian" in found.repairs


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x89PNG\r\n\x1a\n" + b"\0" * 200, b"\0" * 132, b"\0" * 128 + b"DICM"]
)
def test_what_is_not_dicom_is_unreadable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.dcm").write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"file\.dcm"):
        read(tmp_path / "file.dcm")


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        read(tmp_path / "absent.dcm")
    with pytest.raises(UnreadableFile):
        read(tmp_path)


def test_objects_without_an_image_have_no_pixels(tmp_path: Path) -> None:
    dataset = image(row(0, 1), Modality="SR")
    stripped = change(image(row(0, 1)), PixelData=None)
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        delattr(dataset, keyword)
    with pytest.raises(NoPixels, match="SR"):
        shown(dataset, tmp_path)
    # An image whose pixel data are gone is damaged.
    with pytest.raises(UnreadableFile, match="pixel data are missing"):
        shown(stripped, tmp_path)


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"Rows": 2}, UnreadableFile),
        ({"NumberOfFrames": 3}, UnreadableFile),
        ({"Rows": 0}, TooLarge),
        ({"Rows": 65535, "Columns": 65535}, TooLarge),
        ({"NumberOfFrames": 2_000_000_000}, TooLarge),
        ({"NumberOfFrames": -1}, TooLarge),
        ({"BitsStored": 17}, UnreadableFile),
        ({"BitsStored": 0}, UnreadableFile),
        ({"BitsAllocated": 12}, UnsupportedFormat),
        ({"SamplesPerPixel": 4}, UnsupportedFormat),
        ({"PhotometricInterpretation": "RGB"}, UnreadableFile),
        ({"PhotometricInterpretation": None}, UnreadableFile),
        ({"BitsStored": 12, "HighBit": 15}, UnsupportedFormat),
        ({"Columns": None}, UnreadableFile),
    ],
)
def test_layouts_that_cannot_be(tmp_path: Path, keywords: dict, error: type) -> None:
    with pytest.raises(error, match=r"one\.dcm"):
        shown(image(row(0, 1), **keywords), tmp_path)


def test_excess_pixel_data_are_told(tmp_path: Path) -> None:
    dataset = image(row(0, 100, 200))
    dataset.PixelData += b"\0" * 6
    found = shown(dataset, tmp_path)
    assert found.frames.tolist() == [[[0, 128, 255]]]
    assert "pixel data longer than declared: the excess bytes are left out" in found.repairs


def test_limits_hold_before_decoding(tmp_path: Path) -> None:
    path = save(image(np.zeros((3, 4, 5), "u1")), tmp_path / "three.dcm")
    assert read(path, limits=Limits(image_pixels=20, frames=3, voxels=60)).frames.shape == (3, 4, 5)
    for limits in (
        Limits(image_pixels=19),
        Limits(frames=2),
        Limits(voxels=59),
        Limits(file_bytes=9),
    ):
        with pytest.raises(TooLarge, match=r"three\.dcm"):
            read(path, limits=limits)
    wide = save(image(np.zeros((4, 4), "u1"), PixelSpacing=[900, 1]), tmp_path / "wide.dcm")
    with pytest.raises(TooLarge):
        read(wide, limits=Limits(image_pixels=100))


def test_deflated_data_are_measured_first(tmp_path: Path) -> None:
    dataset = image(np.zeros((1000, 1000), "u1"))
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    path = save(dataset, tmp_path / "deflated.dcm")
    assert path.stat().st_size < 10_000
    assert read(path).frames.shape == (1, 1000, 1000)
    with pytest.raises(TooLarge, match="inflated"):
        read(path, limits=Limits(inflated_bytes=500_000))


def test_frames_that_are_not_there(tmp_path: Path) -> None:
    path = save(image(row(0, 1)), tmp_path / "one.dcm")
    for index in (1, -1):
        with pytest.raises(InputError, match="the file has 0 to 0"):
            read(path, frames=[index])
    with pytest.raises(UsageError):
        read(path, frames=[])


def test_video_and_private_syntaxes_are_unsupported(tmp_path: Path) -> None:
    dataset = image(row(0, 1, dtype="u1"))
    whole = save(dataset, tmp_path / "one.dcm").read_bytes()
    explicit = b"1.2.840.10008.1.2.1\0"
    assert explicit in whole
    for syntax in (MPEG2MPML, "1.2.840.113619.5.2.1"):
        swapped = change(dataset)
        swapped.file_meta.TransferSyntaxUID = syntax
        swapped["PixelData"].is_undefined_length = True
        swapped.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x02\0\0\0ab"
        with pytest.raises(UnsupportedFormat):
            shown(swapped, tmp_path)


def test_a_codestream_of_another_size_is_refused(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    from pydicom.encaps import encapsulate

    stream = cv2.imencode(".jpg", np.full((8, 16), 77, np.uint8))[1].tobytes()
    dataset = image(np.zeros((8, 16), "u1"))
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset["PixelData"].is_undefined_length = True
    dataset.PixelData = encapsulate([stream])
    assert np.abs(shown(dataset, tmp_path).frames.astype(int) - 77).max() <= 1
    with pytest.raises(UnreadableFile, match="8 x 16 with 1 samples, the header says 16 x 8"):
        shown(change(dataset, Rows=16, Columns=8), tmp_path)
    change(dataset, Rows=8, Columns=16)
    dataset.PixelData = encapsulate([stream[: len(stream) // 2]])
    with pytest.raises(UnreadableFile, match="end marker"):
        shown(dataset, tmp_path)
    dataset.PixelData = encapsulate([stream, stream])
    with pytest.raises(UnreadableFile, match="2 compressed items"):
        shown(dataset, tmp_path)


def test_deep_colour_keeps_its_top_bits(tmp_path: Path) -> None:
    samples = np.array([[[0, 0x80FF, 0xFFFF], [0x0100, 0x7F00, 0xABCD]]], "<u2")
    found = shown(colour(samples), tmp_path)
    assert found.frames.tolist() == [[[[0, 0x80, 0xFF], [1, 0x7F, 0xAB]]]]
    twelve = colour(samples & 0xFFF, BitsStored=12, HighBit=11)
    assert shown(twelve, tmp_path).frames[0, 0, 0].tolist() == [0, 0x0F, 0xFF]
    with pytest.raises(UnsupportedFormat, match="HSV"):
        shown(colour(samples, PhotometricInterpretation="HSV"), tmp_path)


def test_ybr_full_follows_the_equations_of_the_standard(tmp_path: Path) -> None:
    # C.7.6.3.1.2 backwards: R = Y + 1.402 (CR - 128), B = Y + 1.772 (CB - 128).
    samples = np.array([[[128, 128, 128], [76, 85, 255], [150, 44, 21], [29, 255, 107]]], "u1")
    found = shown(colour(samples, PhotometricInterpretation="YBR_FULL"), tmp_path).frames[0, 0]
    expected = [[128, 128, 128], [254, 0, 0], [0, 255, 1], [0, 0, 254]]
    assert np.abs(found.astype(int) - expected).max() <= 1


def palette_image(indices: np.ndarray, first: int, tables: dict[str, list[int]], bits: int):
    dataset = image(indices, PhotometricInterpretation="PALETTE COLOR")
    for name, table in tables.items():
        keyword = f"{name}PaletteColorLookupTable"
        kind = "SS" if first < 0 else "US"
        dataset.add_new(f"{keyword}Descriptor", kind, [len(table), first, bits])
        data = np.array(table, "<u2" if bits > 8 else "u1").tobytes()
        dataset.add_new(f"{keyword}Data", "OW", data + b"\0" * (len(data) % 2))
    return dataset


@pytest.mark.parametrize(("bits", "scale"), [(8, 1), (16, 257), (16, 256)])
def test_palette_entries_of_8_and_16_bits(tmp_path: Path, bits: int, scale: int) -> None:
    tables = {
        "Red": [v * scale for v in (1, 2, 3)],
        "Green": [v * scale for v in (10, 20, 30)],
        "Blue": [v * scale for v in (100, 200, 255)],
    }
    dataset = palette_image(row(0, 5, 6, 7, 200, dtype="u1"), 5, tables, bits)
    assert levels(dataset, tmp_path) == [
        [[1, 10, 100], [1, 10, 100], [2, 20, 200], [3, 30, 255], [3, 30, 255]]
    ]


def test_segmented_palette_is_expanded(tmp_path: Path) -> None:
    # Discrete 2 entries, linear 4 steps up to 100, then the first segment again (indirect).
    codes = [0, 2, 10, 20, 1, 4, 100, 2, 1, 0, 0, 0, 0]
    expected = [10, 20, 40, 60, 80, 100, 10, 20]
    dataset = image(row(*range(8), dtype="u1"), PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        keyword = f"{name}PaletteColorLookupTable"
        dataset.add_new(f"{keyword}Descriptor", "US", [8, 0, 8])
        dataset.add_new(f"Segmented{keyword}Data", "OW", bytes([*codes, 0]))
    assert np.array(levels(dataset, tmp_path))[0, :, 0].tolist() == expected
    # 65535 indirect segments cannot grow the table: it stops at its declared length.
    bomb = np.array([0, 1, 5, *([2, 65535, 0, 0] * 500)], "<u2").tobytes()
    for name in ("Red", "Green", "Blue"):
        keyword = f"{name}PaletteColorLookupTable"
        dataset[f"{keyword}Descriptor"].value = [8, 0, 16]
        dataset[f"Segmented{keyword}Data"].value = bomb
    with pytest.raises(UnreadableFile, match="segment"):
        shown(dataset, tmp_path)


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
