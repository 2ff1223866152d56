"""Compressed frames in several items, with empty, wrong and extended offset tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, encapsulate_extended, fragment_frame
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from qoqdata.errors import UnreadableFile
from qoqdata.readers.dicom import read_dicom, read_values
from tests.readers.dicom_objects import change, image, save

SYNTAXES = [RLELossless, JPEGLSLossless, JPEG2000Lossless]
STORED = np.random.default_rng(0).integers(0, 4096, (3, 64, 48)).astype("<u2")


def streams(syntax: str, frames: int) -> list[bytes]:
    """The compressed frames of STORED, by pydicom's encoders."""
    from pydicom.encaps import generate_frames

    dataset = image(STORED[:frames])
    dataset.compress(syntax)
    return list(generate_frames(dataset.PixelData, number_of_frames=frames))


def of_items(items: list[bytes], syntax: str, frames: int, table: bytes = b"") -> FileDataset:
    """An image whose pixel data are `items` behind an offset table of `table`."""
    dataset = image(STORED[:frames])
    dataset.file_meta.TransferSyntaxUID = syntax
    parts = [b"\xfe\xff\x00\xe0" + len(one).to_bytes(4, "little") + one for one in (table, *items)]
    dataset.PixelData = b"".join(parts) + b"\xfe\xff\xdd\xe0\0\0\0\0"
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def values(dataset: FileDataset, tmp_path: Path) -> np.ndarray:
    return read_values(save(dataset, tmp_path / "one.dcm"))[0]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("cuts", [2, 5])
def test_one_frame_in_several_items(tmp_path: Path, syntax: str, cuts: int) -> None:
    items = list(fragment_frame(streams(syntax, 1)[0], cuts))
    assert len(items) == cuts
    dataset = of_items(items, syntax, 1)
    assert np.array_equal(values(dataset, tmp_path), STORED[:1])
    notes = read_dicom(tmp_path / "one.dcm").repairs
    assert ("RLE frames in several fragments: joined" in notes) == (syntax == RLELossless)


def cut(syntax: str) -> tuple[list[bytes], list[int]]:
    """Three frames in 1, 3 and 2 items, and where in bytes each begins."""
    items: list[bytes] = []
    offsets = []
    for stream, cuts in zip(streams(syntax, 3), (1, 3, 2), strict=True):
        offsets.append(sum(8 + len(one) for one in items))
        items += fragment_frame(stream, cuts)
    return items, offsets


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("table", ["empty", "right", "wrong", "short", "torn"])
def test_several_frames_in_several_items(tmp_path: Path, syntax: str, table: str) -> None:
    items, offsets = cut(syntax)
    offsets = {
        "empty": [],
        "right": offsets,
        "wrong": [0, offsets[1] + 2, offsets[2]],
        "short": offsets[:2],
        "torn": [offsets[2], 0, offsets[1]],
    }[table]
    dataset = of_items(items, syntax, 3, np.array(offsets, "<u4").tobytes())
    assert np.array_equal(values(dataset, tmp_path), STORED)
    told = "wrong offset table: frames are separated where their streams begin"
    notes = read_dicom(tmp_path / "one.dcm").repairs
    assert (told in notes) == (table in ("wrong", "short", "torn"))


def test_a_wrong_extended_offset_table_is_not_followed(tmp_path: Path) -> None:
    data, offsets, lengths = encapsulate_extended(streams(JPEGLSLossless, 3))
    for shift in (0, 2):
        dataset = of_items([], JPEGLSLossless, 3)
        dataset.PixelData = data
        wrong = np.frombuffer(offsets, "<u8") + shift
        change(dataset, ExtendedOffsetTable=wrong.astype("<u8").tobytes())
        change(dataset, ExtendedOffsetTableLengths=lengths)
        assert np.array_equal(values(dataset, tmp_path), STORED)


def test_frames_that_tell_no_beginning_follow_the_table(tmp_path: Path) -> None:
    """The second stream begins with a fill byte, so only the table separates it."""
    first, second, _ = streams(JPEGLSLossless, 3)
    items = [first[:100], first[100:], second[:1], second[1:]]
    offsets = np.array([0, len(first) + 16], "<u4").tobytes()
    dataset = of_items(items, JPEGLSLossless, 2, offsets)
    assert np.array_equal(values(dataset, tmp_path), STORED[:2])
    with pytest.raises(UnreadableFile, match="4 compressed items are not to be separated into 2"):
        values(of_items(items, JPEGLSLossless, 2), tmp_path)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_more_or_fewer_streams_than_frames_are_refused(tmp_path: Path, syntax: str) -> None:
    three = streams(syntax, 3)
    for frames, items in ((1, three[:2]), (2, three), (3, three[:2])):
        dataset = of_items(items, syntax, frames)
        found = f"{len(items)} compressed items, the header declares {frames} frames"
        with pytest.raises(UnreadableFile, match=found):
            values(dataset, tmp_path)


def test_fragments_that_stay_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qoqdata.readers.dicom.dataset.HELD_BYTES", 1)
    items, _ = cut(RLELossless)
    assert np.array_equal(values(of_items(items, RLELossless, 3), tmp_path), STORED)
    dataset = image(STORED[:1])
    dataset.compress(RLELossless)
    dataset.PixelData = encapsulate(streams(RLELossless, 1), fragments_per_frame=4, has_bot=False)
    dataset["PixelData"].is_undefined_length = True
    assert np.array_equal(values(dataset, tmp_path), STORED[:1])
