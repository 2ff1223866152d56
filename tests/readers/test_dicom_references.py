"""Pixels against highdicom and pydicom, for the files in pydicom's package and the real ones."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_color_lut, get_decoder, pixel_array
from pydicom.uid import JPEG2000, JPEGExtended12Bit, JPEGLSNearLossless

from qoqdata.errors import NoPixels, QoqdataError, UnreadableFile
from qoqdata.readers.dicom import read_dicom, read_values
from qoqdata.readers.dicom.windowing import Modality, grey, window_fraction

# One grey level is the promise. Files that highdicom cannot answer for, and why:
SLOPE = (
    "highdicom turns the window into stored units and takes the 1 of LINEAR off there, not in "
    "modality units; with the slope of 9.57 in these files that is 1.4 levels"
)
BIG_ENDIAN = "highdicom opens little endian files only"
EXCEPTIONS = {
    "MR4_J2KI": SLOPE,
    "MR4_J2KR": SLOPE,
    "MR4_JPLL": SLOPE,
    "MR4_RLE": SLOPE,
    "MR_small_bigendian.dcm": BIG_ENDIAN,
    "MR_small_expb.dcm": BIG_ENDIAN,
    "liver_expb_1frame.dcm": BIG_ENDIAN,
    "rtdose_expb.dcm": BIG_ENDIAN,
    "rtdose_expb_1frame.dcm": BIG_ENDIAN,
}

# Files with pixel data that no decoder reads, and what is wrong with them.
UNDECODABLE = {
    "JPEG-lossy.dcm": "pylibjpeg: .*misplaced marker.*; pillow: Pillow does not support",
    "JPEG2000-embedded-sequence-delimiter.dcm": "the header says 1024 x 256",
    "MR_truncated.dcm": "truncated",
    "badVR.dcm": "NumberOfFrames",
    "meta_missing_tsyntax.dcm": "Rows is missing",
    "nested_priv_SQ.dcm": "Rows is missing",
    "MR4_JPLY": "pylibjpeg: .*misplaced marker",
    "multiframe.dcm": "frame 14 is 240 x 55 with 3 samples, the header says 240 x 240",
}

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The references warn and log about the oddities that these files are made of."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def dicom_files(folder: Path) -> list[Path]:
    """Files that parse as DICOM objects with pixel data."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size > 132:
            try:
                dataset = pydicom.dcmread(path, force=True, stop_before_pixels=False)
            except Exception:
                continue
            if "PixelData" in dataset:
                found.append(path)
    return found


def reference(image: object, path: Path, frame: int, window: bool) -> np.ndarray:
    """Highdicom's grey levels, 0 to 255 before rounding; without a window by the stated rule."""
    if window:
        return image.get_frame(  # type: ignore[attr-defined]
            frame, apply_real_world_transform=False, apply_voi_transform=True,
            voi_output_range=(0, 255),
        )  # fmt: skip
    dataset = pydicom.dcmread(path)

    def modality(number: int) -> np.ndarray:
        return image.get_frame(  # type: ignore[attr-defined]
            number, apply_real_world_transform=False, apply_presentation_lut=False
        )

    slope, intercept = (
        float(dataset.get("RescaleSlope", 1)),
        float(dataset.get("RescaleIntercept", 0)),
    )
    bits, void = int(dataset.BitsStored), dataset.get("PixelPaddingValue")
    if dataset.file_meta.TransferSyntaxUID in (JPEG2000, JPEGExtended12Bit, JPEGLSNearLossless):
        void = None  # a lossy codec keeps no exact value
    values = modality(frame)
    padding = np.zeros(values.shape, bool)
    if void is not None:
        padding = np.isclose(values, float(void) * slope + intercept)
    if bits <= 8:
        ends = np.array([0.0, 2**bits - 1]) * slope + intercept
    else:
        every = [modality(k + 1) for k in range(int(dataset.get("NumberOfFrames", 1)))]
        present = np.concatenate([one.ravel() for one in every])
        if void is not None:
            present = present[~np.isclose(present, float(void) * slope + intercept)]
        ends = np.array([present.min(), present.max()])
    level = (values - ends[0]) / (ends[1] - ends[0]) * 255
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        level = 255 - level
    level[padding] = 0
    return level


#: Quarter turns to the left by what read_dicom says that it did, an Exif orientation.
QUARTERS = {1: 0, 3: 2, 6: 3, 8: 1}


def grey_differences(files: list[Path]) -> tuple[int, dict[str, str]]:
    """How many frames agree within one level, and which files do not, with the difference."""
    highdicom = pytest.importorskip("highdicom")
    agreed, differing = 0, {}
    for path in files:
        try:
            ours = read_dicom(path, square=False)
        except QoqdataError:
            continue
        if ours.frames.ndim == 4:
            continue
        try:
            image = highdicom.imread(path)
        except ValueError as error:
            differing[path.name] = str(error)
            continue
        for frame, level in enumerate(ours.frames):
            expected = reference(image, path, frame + 1, ours.windows[frame] is not None)
            # highdicom shows frames as they are stored.
            worst = np.abs(np.rot90(expected, QUARTERS[ours.turn]) - level).max()
            if worst > 1:
                differing[path.name] = f"frame {frame} is off by {worst:.2f}"
            else:
                agreed += 1
    return agreed, differing


def test_packaged_grey_files_agree_with_highdicom() -> None:
    agreed, differing = grey_differences(dicom_files(PACKAGED))
    assert set(differing) == {name for name, why in EXCEPTIONS.items() if why is BIG_ENDIAN}, (
        differing
    )
    assert agreed >= 79


def test_real_grey_files_agree_with_highdicom(realdata: Path) -> None:
    agreed, differing = grey_differences(dicom_files(realdata / "dicom"))
    assert set(differing) == {
        name for name, why in EXCEPTIONS.items() if why is SLOPE
    } | {"MR_small_bigendian.dcm"}, differing  # fmt: skip
    assert agreed >= 110


def test_exceptions_for_the_slope_follow_the_standard_instead(realdata: Path) -> None:
    for name in (name for name, why in EXCEPTIONS.items() if why is SLOPE):
        path = realdata / "dicom" / "mr" / name
        dataset, ours = pydicom.dcmread(path), read_dicom(path)
        assert ours.windows[0] is not None
        rescale = Modality(float(dataset.RescaleSlope), float(dataset.RescaleIntercept))
        values = rescale(dataset.pixel_array)
        expected = grey(window_fraction(values, ours.windows[0]), inverted=False)
        assert np.array_equal(ours.frames[0], expected)


@pytest.mark.parametrize(
    ("other", "twin"),
    [
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("MR_small_expb.dcm", "MR_small.dcm"),
        ("MR_small_implicit.dcm", "MR_small.dcm"),
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_padded.dcm", "MR_small.dcm"),
        ("liver_expb_1frame.dcm", "liver_1frame.dcm"),
        ("rtdose_expb.dcm", "rtdose.dcm"),
        ("rtdose_rle.dcm", "rtdose.dcm"),
        ("rtdose_expb_1frame.dcm", "rtdose_1frame.dcm"),
        ("SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd.dcm"),
    ],
)
def test_the_encoding_does_not_change_the_image(other: str, twin: str) -> None:
    assert np.array_equal(read_dicom(PACKAGED / other).frames, read_dicom(PACKAGED / twin).frames)


def rescaled(path: Path) -> np.ndarray:
    """pydicom's stored values through the rescale, as (n, rows, columns)."""
    dataset = pydicom.dcmread(path)
    stored = dataset.pixel_array.astype(np.float64)
    values = stored * float(dataset.get("RescaleSlope", 1)) + float(
        dataset.get("RescaleIntercept", 0)
    )
    return values.reshape(-1, dataset.Rows, dataset.Columns)


def test_modality_values_agree_with_pydicom() -> None:
    compared = 0
    for path in dicom_files(PACKAGED):
        try:
            values, _ = read_values(path)
        except QoqdataError:
            continue
        # JPEG baseline decoders may differ in the last bit.
        tolerance = 1.0 if "1.2.4.5" in pydicom.dcmread(path).file_meta.TransferSyntaxUID else 0.0
        assert np.allclose(values, rescaled(path), rtol=1e-6, atol=tolerance), path.name
        compared += 1
    assert compared >= 56


def colour_differences(files: list[Path]) -> tuple[int, dict[str, int]]:
    compared, differing = 0, {}
    for path in files:
        try:
            ours = read_dicom(path, square=False).frames
        except QoqdataError:
            continue
        if ours.ndim != 4:
            continue
        dataset = pydicom.dcmread(path)
        plugins = get_decoder(dataset.file_meta.TransferSyntaxUID).available_plugins or ("",)
        for plugin in plugins:
            try:
                theirs = pixel_array(dataset, raw=False, decoding_plugin=plugin)
            except RuntimeError:
                continue
            if dataset.PhotometricInterpretation == "PALETTE COLOR":
                theirs = apply_color_lut(theirs, dataset)
            theirs = (theirs >> (theirs.dtype.itemsize * 8 - 8)).reshape(ours.shape)
            worst = int(np.abs(theirs.astype(int) - ours).max())
            # libjpeg-turbo and libjpeg differ by a level in Y, CB and CR, which RGB adds up.
            if worst > (3 if plugin == "pylibjpeg" else 1):
                differing[f"{path.name} {plugin}"] = worst
            compared += 1
    return compared, differing


def test_packaged_colour_files_agree_with_pydicom() -> None:
    compared, differing = colour_differences(dicom_files(PACKAGED))
    assert differing == {}
    assert compared >= 45


def test_real_colour_files_agree_with_pydicom(realdata: Path) -> None:
    compared, differing = colour_differences(dicom_files(realdata / "dicom"))
    assert differing == {}
    assert compared >= 10


def test_every_packaged_image_is_read_or_refused_for_a_known_reason() -> None:
    refused = {}
    for path in dicom_files(PACKAGED):
        try:
            read_dicom(path)
        except UnreadableFile as error:
            refused[path.name] = str(error)
    assert set(refused) == {name for name in UNDECODABLE if (PACKAGED / name).exists()}
    for name, message in refused.items():
        assert re.search(UNDECODABLE[name], message), message


def test_broken_real_files_are_refused_with_the_reasons(realdata: Path) -> None:
    for path in sorted((realdata / "dicom" / "broken").iterdir()):
        with pytest.raises(UnreadableFile, match=UNDECODABLE[path.name]):
            read_dicom(path)


@pytest.mark.parametrize(
    "name",
    [
        "rtplan.dcm",
        "rtstruct.dcm",
        "test-SR.dcm",
        "reportsi.dcm",
        "waveform_ecg.dcm",
        "dicomdirtests/DICOMDIR",
        "dicomdirtests/DICOMDIR-bigEnd",
        "dicomdirtests/TINY_ALPHA/PT000000/ST000000/SE000000/IM000000",
    ],
)
def test_packaged_objects_without_an_image(name: str) -> None:
    with pytest.raises(NoPixels):
        read_dicom(PACKAGED / name)


def test_real_radiographs_have_white_bones(realdata: Path) -> None:
    # MONOCHROME1: a lower leg, bone in the middle of the shaft, air beside it.
    for name in ("RG3_J2KI", "RG3_JLSN"):
        leg = read_dicom(realdata / "dicom" / "xray" / name).frames[0]
        assert leg[900, 820:900].mean() > 150 > 60 > leg[900, 1150:1200].mean()
    straight = read_dicom(next((realdata / "dicom" / "xray").glob("1.2.276*"))).frames
    flipped = read_dicom(realdata / "dicom" / "xray" / "Fake_MONOHR1.dcm").frames
    assert np.array_equal(straight, 255 - flipped)
