"""A series shows what its files show: against the file mode, by hand, and in other directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from qoqdata.errors import InputError, UnreadableFile
from qoqdata.readers import dicom
from qoqdata.readers.dicom import Window
from qoqdata.readers.volume import SlicePolicy
from qoqdata.records.content import Image
from qoqdata.records.dicoms import file_images, series_images
from tests.readers.dicom_objects import change, image, item, save

AXIAL: list[float] = [1, 0, 0, 0, 1, 0]
CORONAL: list[float] = [1, 0, 0, 0, 0, -1]
#: Anatomical order: upwards for axial, from the back to the front for coronal.
STEP: dict[str, tuple[list[float], list[float]]] = {
    "axial": (AXIAL, [0, 0, 1]),
    "coronal": (CORONAL, [0, -1, 0]),
    # Axial, with the front lifted by the angle of 3, 4, 5.
    "oblique": ([1, 0, 0, 0, 0.8, 0.6], [0, -0.6, 0.8]),
}
ALL = SlicePolicy("all")


def series(count: int = 3, view: str = "axial", dtype: str = "<i2", **keywords: Any) -> list:
    """Slices of 6 x 8 pixels whose stored values rise along rows and from slice to slice."""
    orientation, step = STEP[view]
    slices = []
    for k in range(count):
        stored = (np.arange(48).reshape(6, 8) * 20 + 10 * k).astype(dtype)
        one = image(stored, Modality="MR", PixelSpacing=[0.7, 0.7], SliceThickness=2)
        change(one, ImageOrientationPatient=orientation, SOPInstanceUID=f"1.2.3.{k}")
        change(one, ImagePositionPatient=[2.0 * k * along for along in step], **keywords)
        slices.append(one)
    return slices


def lut(first: int) -> Any:
    """A table that is no line: squares of 0..255 in 16 bits, 256 entries from `first`."""
    table = (np.arange(256) ** 2).astype("<u2")
    return item(LUTDescriptor=[256, first, 16], LUTData=table.tobytes())


def written(tmp_path: Path, slices: list[FileDataset]) -> list[Path]:
    return [save(one, tmp_path / f"{k}.dcm") for k, one in enumerate(slices)]


def both(
    tmp_path: Path, slices: list[FileDataset], window: Window | str | None = None
) -> tuple[list[Image], list[Image], tuple[str, ...]]:
    """Images of the series, images of its files one by one, and notes of the series."""
    paths = written(tmp_path, slices)
    of_series, notes = series_images(dicom.read_series(paths), ALL, [window])
    of_files = [file_images(path, [window], frames=1)[0][0] for path in paths]
    return list(of_series), of_files, notes


def padded(slices: list[FileDataset]) -> list[FileDataset]:
    return [change(one, PixelPaddingValue=0, PixelPaddingRangeLimit=120) for one in slices]


def rescaled(slices: list[FileDataset]) -> list[FileDataset]:
    for k, one in enumerate(slices):
        change(one, RescaleSlope=1 + k / 4, RescaleIntercept=-3 * k)
    return slices


def own_windows(slices: list[FileDataset]) -> list[FileDataset]:
    for k, one in enumerate(slices):
        change(one, WindowCenter=[300 + 40 * k, 7], WindowWidth=[500 - 50 * k, 3])
    return slices


WINDOW = {"WindowCenter": 400, "WindowWidth": 300}
SAME_AS_FILES = {
    "window": series(**WINDOW),
    "linear exact": series(**WINDOW, VOILUTFunction="LINEAR_EXACT"),
    "sigmoid": series(**WINDOW, VOILUTFunction="SIGMOID"),
    "VOI LUT": series(VOILUTSequence=[lut(300)], **WINDOW),
    "MONOCHROME1": series(PhotometricInterpretation="MONOCHROME1", **WINDOW),
    "inverse": series(PresentationLUTShape="INVERSE", **WINDOW),
    "padding": padded(series(**WINDOW)),
    "inverted padding": padded(series(PhotometricInterpretation="MONOCHROME1", **WINDOW)),
    "rescale of each slice": rescaled(series(**WINDOW)),
    "window of each slice": own_windows(series()),
    "Modality LUT": series(
        dtype="<u2", ModalityLUTSequence=[lut(300)], WindowCenter=3e4, WindowWidth=5e4
    ),
    "8 bits without a window": series(dtype="u1"),
    "pixels that are not square": series(PixelSpacing=[1.4, 0.7], **WINDOW),
    "wide pixels": series(PixelSpacing=[0.5, 0.8], **WINDOW),
    "coronal": series(view="coronal", **WINDOW),
    "oblique": series(view="oblique", PixelSpacing=[0.9, 0.6], **WINDOW),
    "near-isotropic coronal": series(5, view="coronal", PixelSpacing=[2.0, 2.0], **WINDOW),
}


@pytest.mark.parametrize("name", SAME_AS_FILES)
def test_slices_show_what_their_files_show(name: str, tmp_path: Path) -> None:
    of_series, of_files, notes = both(tmp_path, SAME_AS_FILES[name])
    square = "pixels were not square: resampled to square"
    assert (square in notes) == (of_files[0].pixels.shape != (6, 8))
    for one, other in zip(of_series, of_files, strict=True):
        assert np.ptp(other.pixels) > 50
        assert np.array_equal(one.pixels, other.pixels)
        assert one.window == other.window
        assert one.spacing is not None and other.spacing is not None
        assert one.spacing[:2] == pytest.approx(other.spacing)
        assert (one.original_width, one.original_height) == (8, 6)


def test_a_damaged_window_is_refused_by_name_unless_another_is_given(tmp_path: Path) -> None:
    slices = series(**WINDOW)
    table = lut(300)
    change(slices[1], VOILUTSequence=[table])
    table.LUTData = table.LUTData[:100]
    volume = dicom.read_series(paths := written(tmp_path, slices))
    for show in (
        lambda: series_images(volume, ALL, [None]),
        lambda: file_images(paths[1], [None], frames=1),
    ):
        with pytest.raises(UnreadableFile, match=r"1\.dcm: LUTData is not as long"):
            show()
    window = Window(400, 300)
    images, _ = series_images(volume, ALL, [window])
    assert np.array_equal(images[1].pixels, file_images(paths[1], [window], frames=1)[0][0].pixels)


@pytest.mark.parametrize("window", [Window(400, 300), Window(300, 90, "SIGMOID")])
def test_a_given_window_goes_before_the_files_own(window: Window, tmp_path: Path) -> None:
    slices = series(VOILUTSequence=[lut(0)], PhotometricInterpretation="MONOCHROME1", **WINDOW)
    of_series, of_files, _ = both(tmp_path, padded(slices), window)
    assert [one.pixels.tolist() for one in of_series] == [one.pixels.tolist() for one in of_files]
    assert {one.window for one in of_series} == {window}


def test_frames_of_an_enhanced_object_are_slices_with_windows_of_their_own(tmp_path: Path) -> None:
    stored = np.stack([np.arange(48).reshape(6, 8) * 20 + 10 * k for k in range(3)])
    one = image(stored.astype("<i2"), Modality="MR", PresentationLUTShape="INVERSE")
    one.SharedFunctionalGroupsSequence = [
        item(
            PlaneOrientationSequence=[item(ImageOrientationPatient=AXIAL)],
            PixelMeasuresSequence=[item(PixelSpacing=[1.4, 0.7], SliceThickness=2)],
        )
    ]
    one.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[0.0, 0.0, 2.0 * k])],
            PixelValueTransformationSequence=[item(RescaleSlope=1 + k, RescaleIntercept=-k)],
            FrameVOILUTSequence=[item(WindowCenter=400 * (1 + k), WindowWidth=300)],
        )
        for k in (2, 0, 1)
    ]
    path = save(one, tmp_path / "enhanced.dcm")
    of_series, _ = series_images(dicom.read_series(path), ALL, [None])
    of_frames, notes, _ = file_images(path, [None], frames=3)
    assert [one.index for one in of_series] == [0, 1, 2]
    # One by one they come in the order of their places, too, with their number in the file.
    assert [one.index for one in of_frames] == [1, 2, 0]
    assert notes[0] == "frames: centres of 3 equal parts of 3, by place"
    for one, other in zip(of_series, of_frames, strict=True):
        assert one.pixels.shape == (12, 8)
        assert np.array_equal(one.pixels, other.pixels)
        assert one.window == other.window
    assert {one.window and one.window.centre for one in of_series} == {400, 800, 1200}


def test_the_whole_chain_by_hand(tmp_path: Path) -> None:
    """PS3.3: rescale, LINEAR window, inversion; padding black. Numbers as DCMTK's dcm2img has."""
    one = series(1, RescaleSlope=2, RescaleIntercept=-100, PhotometricInterpretation="MONOCHROME1")
    change(one[0], WindowCenter=500, WindowWidth=1001, PixelPaddingValue=940)
    (shown,), _, _ = both(tmp_path, one)
    stored = np.arange(48).reshape(6, 8) * 20.0
    grey = 255 - np.clip(((2 * stored - 100) - 499.5) / 1000 + 0.5, 0, 1) * 255
    grey[5, 7] = 0
    assert np.abs(shown.pixels - grey).max() <= 0.5 + 1e-6


def test_windows_that_differ_are_told(tmp_path: Path) -> None:
    told = "windows differ between slices: each slice is shown with its own"
    assert told in both(tmp_path, own_windows(series()))[2]
    assert told not in both(tmp_path, series(VOILUTSequence=[lut(300)]))[2]


def test_without_a_window_all_slices_share_a_range_that_padding_does_not_move(
    tmp_path: Path,
) -> None:
    slices = series(dtype="<i2")
    plain, _, notes = both(tmp_path, slices)
    values = np.stack([np.arange(48) * 20 + 10 * k for k in range(3)])
    low, high = np.percentile(values, [0.5, 99.5])
    assert f"grey: percentiles 0.5 to 99.5, {low:g} to {high:g}" in notes
    wanted = np.floor(np.clip((values - low) / (high - low), 0, 1) * 255 + 0.5)
    assert np.array_equal([one.pixels.ravel() for one in plain], wanted)

    def hollow(padding: int) -> list[Image]:
        for one in slices:
            stored = np.frombuffer(one.PixelData, "<i2").reshape(6, 8).copy()
            stored[:, :2] = padding
            change(one, PixelData=stored.tobytes(), PixelPaddingValue=padding)
        return both(tmp_path, slices)[0]

    near, far = hollow(-1), hollow(-30000)
    assert all((one.pixels[:, :2] == 0).all() for one in far)
    assert [one.pixels.tolist() for one in near] == [one.pixels.tolist() for one in far]


def test_only_slices_without_a_window_take_the_range(tmp_path: Path) -> None:
    slices = series(**WINDOW)
    change(slices[1], WindowCenter=None, WindowWidth=None)
    of_series, of_files, notes = both(tmp_path, slices)
    assert of_series[1].window is None
    assert [note for note in notes if note.startswith("slices without a window: grey: percentiles")]
    for k in (0, 2):
        assert np.array_equal(of_series[k].pixels, of_files[k].pixels)


def test_ranges_of_stored_bits_of_different_rescales_are_one_range(tmp_path: Path) -> None:
    """8-bit slices at 1, 2 and 3 times the value: brighter, not equally bright."""
    slices = series(dtype="u1")
    for k, one in enumerate(slices):
        stored = np.full((6, 8), 100, "u1")
        stored[0, 0] = 0
        change(one, PixelData=stored.tobytes(), RescaleSlope=k + 1, RescaleIntercept=0)
    of_series, _, notes = both(tmp_path, slices)
    assert [int(one.pixels[3, 3]) for one in of_series] == [85, 170, 255]
    assert not any("stored bits" in note for note in notes)


def test_padding_and_windows_hold_in_reformatted_planes(tmp_path: Path) -> None:
    slices = padded(own_windows(series(4)))
    paths = written(tmp_path, slices)
    volume = dicom.read_series(paths)
    axial, _ = series_images(volume, ALL, [None])
    coronal, _ = series_images(volume, SlicePolicy("all", plane="coronal"), [None])
    # 4 slices of 2 mm over pixels of 0.7 mm: 11 rows.
    assert {one.pixels.shape for one in coronal} == {(11, 8)}
    stack = np.stack([one.pixels for one in axial])
    for one in coronal:
        assert one.index is not None and one.spacing is not None
        assert one.spacing == pytest.approx((8 / 11, 0.7, 0.7))
        # The uppermost row is the highest slice, whose own window made it.
        assert np.array_equal(one.pixels[0], stack[3, one.index])
        assert np.array_equal(one.pixels[-1], stack[0, one.index])


@pytest.mark.parametrize(
    ("keywords", "reason"),
    [
        ({}, "0.dcm: the file has no RescaleSlope and no RescaleIntercept"),
        ({"RescaleSlope": 1}, "0.dcm: the file has no RescaleIntercept"),
        ({"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "US"}, "unit is US"),
        ({"RescaleSlope": 1, "RescaleIntercept": -1024, "RescaleType": "HU_MOD"}, "is HU_MOD"),
        ({"ModalityLUTSequence": [lut(0)]}, "unit is US"),
        ({"RescaleSlope": 1, "RescaleIntercept": 0, "Modality": "PT"}, "modality is PT"),
    ],
)
def test_a_named_window_needs_hounsfield_units_in_both_modes(
    keywords: dict, reason: str, tmp_path: Path
) -> None:
    paths = written(tmp_path, series(**({"Modality": "CT"} | keywords)))
    volume = dicom.read_series(paths)
    for show in (
        lambda: series_images(volume, ALL, ["lung"]),
        lambda: file_images(paths[0], ["lung"], frames=1),
    ):
        with pytest.raises(InputError, match="not in Hounsfield units") as refused:
            show()
        assert reason.removeprefix("0.dcm: ") in refused.value.what
        assert refused.value.fix is not None
    assert reason in str(volume.not_hounsfield)


def test_a_named_window_shows_hounsfield_units(tmp_path: Path) -> None:
    slices = series(Modality="CT", RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    of_series, of_files, _ = both(tmp_path, slices, "lung")
    assert [one.pixels.tolist() for one in of_series] == [one.pixels.tolist() for one in of_files]
    assert {one.window and one.window.name for one in of_series} == {"lung"}
