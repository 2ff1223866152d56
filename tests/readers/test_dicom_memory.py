"""What reading a DICOM file costs in memory, and pixel data that stay in the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate, get_frame
from pydicom.filereader import read_dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from pydicom.values import convert_value

from qoqdata.errors import UnreadableFile
from qoqdata.readers.dicom import read_dicom, read_values
from qoqdata.readers.dicom.pixel_data import HELD_BYTES
from tests.readers.dicom_objects import image, save

SIDE = 2048
FRAME = SIDE * SIDE * 2
# Resident bytes that a read adds at its peak, in a process that has read a small file before.
PEAK = """
import sys
from pathlib import Path
from qoqdata.readers.dicom import read_dicom

def resident(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

read_dicom(sys.argv[1])
Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
read_dicom(sys.argv[2], frames=[0])
print(resident("VmHWM") - before)
"""

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def film(side: int, frames: int = 1) -> np.ndarray:
    """12-bit stored values with the noise of a detector, so that codecs compress to about half."""
    noise = np.random.default_rng(0).normal(0, 16, (side, side))
    ramp = np.linspace(0, 3000, side)[:, None] + np.linspace(0, 900, side)
    one = np.clip(ramp + noise, 0, 4095).astype(np.uint16)
    return one if frames == 1 else np.repeat(one[None], frames, axis=0)


def peak(tmp_path: Path, syntax: str | None = None, frames: int = 1) -> float:
    """Peak memory of reading one frame, in sizes of a decoded frame."""
    paths = []
    for side, count in ((64, 1), (SIDE, frames)):
        dataset = image(film(side, count), BitsStored=12, HighBit=11, Modality="DX")
        dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
        if syntax is not None:
            dataset.compress(syntax)
        paths.append(str(save(dataset, tmp_path / f"{side}.dcm")))
    command = [sys.executable, "-c", PEAK, *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) / FRAME


@linux
def test_a_native_frame_is_held_once(tmp_path: Path) -> None:
    assert peak(tmp_path) < 2


@linux
def test_other_frames_of_a_native_file_stay_in_it(tmp_path: Path) -> None:
    assert peak(tmp_path, frames=12) < 2


@linux
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_a_compressed_frame_stays_under_three_frames(tmp_path: Path, syntax: str) -> None:
    assert peak(tmp_path, syntax) < 3


@linux
def test_jpeg_2000_adds_only_the_compressed_frame_to_its_decoder(tmp_path: Path) -> None:
    """OpenJPEG alone takes three frames: 32-bit components, and the samples that it returns."""
    assert peak(tmp_path, JPEG2000Lossless) < 4.5


def large(frames: int) -> np.ndarray:
    """Frames that differ, too large together to be held."""
    stored = np.random.default_rng(1).integers(0, 4096, (frames, 120, 140)).astype(np.uint16)
    assert stored.nbytes > HELD_BYTES
    return stored


def test_what_pydicom_does_and_does_not_promise(tmp_path: Path) -> None:
    """Reading in two steps rests on this; a pydicom that differs needs another `dataset._dataset`.

    The upper bound of pydicom in pyproject.toml is there for the same reason.
    """
    path = save(image(large(5), RescaleSlope=2), tmp_path / "x.dcm")
    with path.open("rb") as file:
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
        assert file.read(4) == b"\xe0\x7f\x10\x00", "dcmread no longer stops at the pixel data"
        file.seek(-4, 1)
        implicit, little = dataset.original_encoding
        rest = read_dataset(file, bool(implicit), bool(little), defer_size=HELD_BYTES)
    dataset.update(rest)
    pixels = dataset.get_item("PixelData", keep_deferred=True)
    assert isinstance(pixels, RawDataElement), "update converts raw elements"
    assert pixels.value is None, "defer_size reads large values"
    stored = path.read_bytes()[pixels.value_tell :][: pixels.length]
    assert stored == large(5).tobytes(), "value_tell is not the place of the first byte"
    slope = dataset.get_item("RescaleSlope")
    assert isinstance(slope, RawDataElement), "elements are converted when they are read"
    assert convert_value("DS", slope) == 2, "convert_value needs more than a raw element"


def test_frames_left_in_the_file_are_the_stored_ones(tmp_path: Path) -> None:
    stored = large(5)
    path = save(image(stored, RescaleSlope=2, RescaleIntercept=-1000), tmp_path / "x.dcm")
    assert (read_values(path)[0] == stored.astype(np.float32) * 2 - 1000).all()
    assert (read_values(path, frames=[3, 1])[0] == stored[[3, 1]] * 2.0 - 1000).all()


def test_large_deflated_data(tmp_path: Path) -> None:
    stored = large(3)
    dataset = image(stored)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    assert (read_values(save(dataset, tmp_path / "x.dcm"))[0] == stored).all()


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_expb.dcm",
        "MR_small_implicit.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_jpeg_ls_lossless.dcm",
        "SC_rgb_rle.dcm",
        "SC_rgb_small_odd_big_endian.dcm",
        "SC_ybr_full_422_uncompressed.dcm",
        "liver_expb_1frame.dcm",
        "rtdose_rle.dcm",
    ],
)
def test_left_in_the_file_or_held_the_image_is_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = get_testdata_file(name, download=False)
    assert path is not None
    held = read_dicom(str(path))
    monkeypatch.setattr("qoqdata.readers.dicom.dataset.HELD_BYTES", 1)
    left = read_dicom(str(path))
    assert (left.frames == held.frames).all()
    assert left.repairs == held.repairs


def test_compressed_frames_left_in_the_file_are_the_stored_ones(tmp_path: Path) -> None:
    stored = large(4)
    dataset = image(stored, BitsStored=12, HighBit=11)
    dataset.compress(RLELossless)
    path = save(dataset, tmp_path / "x.dcm")
    assert path.stat().st_size > HELD_BYTES
    assert (read_values(path, frames=[2, 0])[0] == stored[[2, 0]]).all()


def test_large_compressed_data_cut_in_fragments(tmp_path: Path) -> None:
    stored = large(5).reshape(-1, 140)
    dataset = image(stored, BitsStored=12, HighBit=11)
    dataset.compress(JPEGLSLossless, encapsulate_ext=False)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame], fragments_per_frame=3)
    path = save(dataset, tmp_path / "x.dcm")
    assert path.stat().st_size > HELD_BYTES
    assert (read_values(path)[0][0] == stored).all()


@pytest.mark.parametrize("syntax", [None, RLELossless])
@pytest.mark.parametrize("kept", [0.4, 0.999])
def test_large_pixel_data_that_are_cut_are_refused(
    tmp_path: Path, syntax: str | None, kept: float
) -> None:
    dataset = image(large(4), BitsStored=12, HighBit=11)
    if syntax is not None:
        dataset.compress(syntax)
    path = save(dataset, tmp_path / "x.dcm")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(UnreadableFile):
        read_dicom(path)


def test_bits_above_the_stored_ones_change_nothing(tmp_path: Path) -> None:
    """The grey table holds each stored value once for every setting of the bits above."""
    stored = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    dirty = stored | np.uint16(0xA000)
    keywords = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 2048, "WindowWidth": 4096}
    clean = read_dicom(save(image(stored, **keywords), tmp_path / "clean.dcm"))
    assert (
        read_dicom(save(image(dirty, **keywords), tmp_path / "dirty.dcm")).frames == clean.frames
    ).all()
    assert clean.frames.ravel()[[0, 2048, 4095]].tolist() == [0, 128, 255]
