"""Damaged and hostile DICOM files end as arrays or as one of our errors, never as anything else."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, RLELossless

from qoqdata.errors import InputError, TooLarge, UnreadableFile
from qoqdata.readers.dicom import read_dicom, read_segmentation, read_series, read_values
from qoqdata.readers.dicom.codestream import check_rle, inspect
from qoqdata.readers.limits import Limits
from tests.readers.dicom_objects import image, item, save

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
LIMITS = Limits(image_pixels=4_000_000, frames=500, voxels=20_000_000, inflated_bytes=2**26)

READERS: list[Callable[[Path], object]] = [
    lambda path: read_dicom(path, limits=LIMITS).frames,
    lambda path: read_values(path, limits=LIMITS)[0],
    lambda path: read_series([path], limits=LIMITS).values,
    lambda path: read_segmentation(path, limits=LIMITS).pixels,
]


def seeds(folder: Path, largest: int) -> list[Path]:
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and 132 < path.stat().st_size <= largest
        and path.suffix not in (".json", ".txt", ".dump", ".icc")
        and "TINY_ALPHA" not in path.parts
    ]


def damaged(content: bytes, dice: random.Random) -> bytes:
    """Cut short, or with some bits flipped or bytes replaced, the header more often."""
    if dice.random() < 0.3:
        return content[: dice.randrange(len(content))]
    out = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        place = dice.randrange(min(len(out), dice.choice((len(out), 3000, 1500))))
        if dice.random() < 0.5:
            out[place] ^= 1 << dice.randrange(8)
        else:
            out[place] = dice.choice((0, 127, 128, 255, dice.randrange(256)))
    return bytes(out)


def survive(files: list[Path], rounds: int, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    path = tmp_path / "damaged.dcm"
    for _ in range(rounds):
        source = dice.choice(files)
        path.write_bytes(damaged(source.read_bytes(), dice))
        for reader in READERS:
            try:
                pixels = reader(path)
            except InputError as error:
                assert "damaged.dcm" in str(error) or str(tmp_path) in str(error), source
            else:
                assert isinstance(pixels, np.ndarray)
                assert pixels.size > 0


@pytest.mark.slow
def test_damaged_packaged_files(tmp_path: Path) -> None:
    survive(seeds(PACKAGED, 60_000), 400, tmp_path, seed=1)


@pytest.mark.slow
def test_damaged_files_whose_pixel_data_stay_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qoqdata.readers.dicom.dataset.HELD_BYTES", 1)
    survive(seeds(PACKAGED, 60_000), 300, tmp_path, seed=4)


@pytest.mark.slow
def test_damaged_real_files(realdata: Path, tmp_path: Path) -> None:
    survive(seeds(realdata / "dicom", 60_000), 200, tmp_path, seed=2)


@pytest.mark.slow
def test_damaged_files_at_length(realdata: Path, tmp_path: Path) -> None:
    files = seeds(PACKAGED, 400_000) + seeds(realdata / "dicom", 400_000)
    survive(files, 6000, tmp_path, seed=3)


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm"])
def test_no_truncated_file_gives_an_image(tmp_path: Path, name: str) -> None:
    whole = (PACKAGED / name).read_bytes()
    expected = read_dicom(PACKAGED / name).frames
    dataset = pydicom.dcmread(PACKAGED / name)
    path = tmp_path / "cut.dcm"
    for length in [*range(0, len(whole), max(1, len(whole) // 60)), len(whole) - 1]:
        path.write_bytes(whole[:length])
        try:
            found = read_dicom(path).frames
        except InputError:
            continue
        # Only padding after the pixel data may be gone.
        assert "DataSetTrailingPadding" in dataset or length >= len(whole) - 8
        assert np.array_equal(found, expected)


def test_deep_nesting_is_no_crash(tmp_path: Path) -> None:
    inner = item()
    for _ in range(150):
        inner = item(ReferencedImageSequence=[inner])
    dataset = image(np.zeros((1, 2), "u1"), ReferencedImageSequence=[inner])
    path = save(dataset, tmp_path / "deep.dcm")
    assert read_dicom(path).frames.shape == (1, 1, 2)
    # A nest of 20,000 undefined-length sequences, never closed.
    head = path.read_bytes()
    nest = (
        b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    ) * 20_000
    path.write_bytes(head[: head.index(b"\x08\x00\x40\x11")] + nest)
    with pytest.raises(UnreadableFile):
        read_dicom(path)


def test_a_declared_length_beyond_the_file(tmp_path: Path) -> None:
    path = save(image(np.zeros((1, 2), "<u2")), tmp_path / "one.dcm")
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\x00OW") + 8
    path.write_bytes(content[:at] + b"\xf0\xff\xff\xff" + content[at + 4 :])
    with pytest.raises(UnreadableFile, match="truncated"):
        read_dicom(path)


def compressed(data: bytes, syntax: str, frames: int = 1) -> pydicom.FileDataset:
    dataset = image(np.zeros((4, 4), "u1"), NumberOfFrames=frames)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset["PixelData"].is_undefined_length = True
    dataset.PixelData = encapsulate([data])
    return dataset


def test_a_huge_codestream_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    size = (60_000).to_bytes(4, "big") * 2
    siz = b"\xff\x4f\xff\x51\0\x29\0\0" + size + bytes(8) + size + bytes(8) + b"\0\x01\x07\x01\x01"
    assert (inspect(siz + b"\xff\xd9").rows, inspect(siz + b"\xff\xd9").precision) == (60_000, 8)
    path = save(compressed(siz + b"\xff\xd9", JPEG2000Lossless), tmp_path / "bomb.dcm")
    with pytest.raises(UnreadableFile, match="60000 x 60000"):
        read_dicom(path)


def test_more_frames_than_items_is_refused_before_allocation(tmp_path: Path) -> None:
    path = save(compressed(b"\xff\xd8\xff\xd9", JPEG2000Lossless, 15_000), tmp_path / "many.dcm")
    with pytest.raises(UnreadableFile, match="15000 frames"):
        read_dicom(path)
    with pytest.raises(TooLarge):
        read_dicom(path, limits=Limits(frames=10))


def rle(*segments: bytes) -> bytes:
    starts = np.cumsum([64, *(len(one) for one in segments[:-1])])
    header = np.array([len(segments), *starts, *[0] * (15 - len(segments))], "<u4")
    return header.tobytes() + b"".join(segments)


def test_rle_runs_must_end_with_the_image(tmp_path: Path) -> None:
    exact = rle(b"\x03\x01\x02\x03\x04" + b"\xf5\x09")
    found = read_dicom(save(compressed(exact, RLELossless), tmp_path / "rle.dcm"))
    assert found.frames.ravel().tolist() == [1, 2, 3, 4, *[9] * 12]
    check_rle(exact + b"\0\0", 16)
    too_long, too_short = rle(b"\x03\x01\x02\x03\x04\xf4\x09"), rle(b"\x03\x01\x02\x03\x04\xf6\x09")
    cut, trailing = rle(b"\x0f\x01\x02"), rle(b"\xf1\x09\x05")
    for bad in (too_long, too_short, cut, trailing, rle(b"")):
        with pytest.raises(UnreadableFile):
            check_rle(bad, 16)
    for bad in (too_short, cut, rle(b""), b"\x01"):
        with pytest.raises(UnreadableFile, match=r"pylibjpeg: .*; pydicom: "):
            read_dicom(save(compressed(bad, RLELossless), tmp_path / "rle.dcm"))
