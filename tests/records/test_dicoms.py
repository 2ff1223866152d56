"""Images of DICOM files and series: windows side by side, facts carried along."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from qoqdata.errors import InputError, UsageError
from qoqdata.readers import dicom
from qoqdata.readers.dicom import CT_WINDOWS, Window
from qoqdata.readers.volume import SlicePolicy
from qoqdata.records.dicoms import file_images, series_images


def packaged(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(str(path))


def test_each_window_is_a_image_of_the_same_frame() -> None:
    path = packaged("CT_small.dcm")
    images, _, facts = file_images(path, ["bone", "lung", Window(40, 400)], frames=8)
    assert [p.window and p.window.name for p in images] == ["bone", "lung", None]
    values = dicom.read_values(path)[0][0]
    for image, window in zip(images, [CT_WINDOWS["bone"], CT_WINDOWS["lung"]], strict=False):
        # PS3.3 C.11.2.1.2.1, spelt out.
        grey = ((values - (window.centre - 0.5)) / (window.width - 1) + 0.5) * 255
        assert np.abs(image.pixels.astype(float) - np.clip(grey, 0, 255)).max() <= 0.5 + 1e-3
    assert facts.modality == "CT"
    assert {p.index for p in images} == {None}


def test_frames_come_before_windows() -> None:
    path = packaged("rtdose.dcm")
    images, notes, _ = file_images(path, [Window(8e5, 4e5), Window(1e6, 1e5)], frames=3)
    assert [p.index for p in images] == [2, 2, 7, 7, 12, 12]
    assert [p.window.centre for p in images if p.window] == [8e5, 1e6] * 3
    assert notes[0] == "frames: centres of 3 equal parts of 15"


def test_a_named_window_needs_hounsfield_units() -> None:
    with pytest.raises(InputError, match="modality is MR"):
        file_images(packaged("MR_small.dcm"), ["brain"], frames=1)
    with pytest.raises(UsageError, match="use one of"):
        file_images(packaged("CT_small.dcm"), ["heart"], frames=1)


def test_a_series_through_two_windows(realdata: Path) -> None:
    series = dicom.read_series(realdata / "dicom" / "series_ct_torchio")
    policy = SlicePolicy("uniform", count=4)
    windows = [Window(300, 600, "LINEAR_EXACT"), Window(100, 200, "LINEAR_EXACT")]
    images, notes = series_images(series, policy, windows)
    assert len(images) == 8
    assert [p.index for p in images[::2]] == [p.index for p in images[1::2]]
    wide, narrow = images[0].pixels.astype(int), images[1].pixels.astype(int)
    inside = (wide > 0) & (wide < 80)
    # 0..200 over 0..255 rises three times as fast as 0..600.
    assert np.abs(narrow[inside] - 3 * wide[inside]).max() <= 3
    assert any(note.startswith("slices: uniform, 4 slices") for note in notes)
