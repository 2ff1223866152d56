"""MetaImage files that are damaged, that lie about their size, or that hold what is not read."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import InputError, TooLarge, UnreadableFile, UnsupportedFormat
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume import metaimage
from tests.readers.metaimage_files import HEAD, IDENTITY, SHORTS, binary, write


@pytest.mark.parametrize(
    "rest",
    [
        binary(extra="ElementNumberOfChannels = 3\n"),
        binary(extra="ElementToIntensityFunctionSlope = 2\n"),
        binary(extra="ElementToIntensityFunctionOffset = -1024\n"),
        binary("MET_FLOAT_ARRAY"),
        binary(extra="BinaryData = False\nCompressedData = True\n"),
    ],
)
def test_what_is_not_read_is_refused(tmp_path: Path, rest: str) -> None:
    with pytest.raises(UnsupportedFormat):
        metaimage.read_metaimage(write(tmp_path, rest, SHORTS.tobytes()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ObjectType = Image", "ObjectType = Tube"),
        ("NDims = 3", "NDims = 1"),
        ("NDims = 3", "NDims = 5"),
        ("NDims = 3", "NDims = 2"),
        ("NDims = 3", "NDims = three"),
        ("NDims = 3\n", ""),
        ("DimSize = 2 3 4", "DimSize = 2 3 5"),
        ("DimSize = 2 3 4", "DimSize = 2 3 -4"),
        ("DimSize = 2 3 4", "DimSize = 2 3 4.5"),
        ("DimSize = 2 3 4", f"DimSize = 2 3 {'9' * 5000}"),
        ("0.5 2 3", "nan 2 3"),
        ("0.5 2 3", "0 2 3"),
        ("0.5 2 3", "0.5 2"),
        ("0.5 2 3", "1e300 2 3"),
        ("Offset = 1 2 3", "Offset = inf 2 3"),
        ("1 0 0 0 1 0 0 0 1", "1 0 0 1 0 0 0 0 1"),
        ("1 0 0 0 1 0 0 0 1", "1 0 0 0 1 0 0 0"),
        ("Offset = 1 2 3", "Offset = 1 2 3\nOffset = 1 2 4"),
        ("Offset = 1 2 3", "Offset = 1 2 3\nPosition = 1 2 4"),
        ("MET_SHORT", "MET_OTHER"),
        ("MET_SHORT", "MET_DOUBLE"),
        ("MSB = False", "MSB = perhaps"),
        ("ElementType", "DistanceUnits = inch\nElementType"),
        ("ElementType", "HeaderSize = -2\nElementType"),
        ("ElementType", "HeaderSize = -1\nCompressedData = True\nElementType"),
        ("ElementType", "CompressedData = True\nElementType"),
        ("ElementType", "BinaryData = False\nElementType"),
        ("ElementDataFile = a.raw\n", ""),
        ("ElementType", "a line without a sign\nElementType"),
    ],
)
def test_damaged_headers_are_refused(tmp_path: Path, old: str, new: str) -> None:
    text = (HEAD + IDENTITY + binary()).replace(old, new)
    assert text != HEAD + IDENTITY + binary()
    with pytest.raises(InputError):
        metaimage.read_metaimage(write(tmp_path, text, SHORTS.tobytes(), head=""))


@pytest.mark.parametrize(
    "text", ["", "1 2 3", "1 " * 25, "x " * 24, "1.5 " * 24, "40000 " * 24, "nan " * 24]
)
def test_wrong_text_data_are_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, binary(extra="BinaryData = False\n"), text.encode())
    with pytest.raises(UnreadableFile):
        metaimage.read_metaimage(path)


def test_hundred_gigavoxels_are_refused(tmp_path: Path) -> None:
    head = HEAD.replace("2 3 4", "5000 5000 4000")
    with pytest.raises(TooLarge, match="voxels"):
        metaimage.read_metaimage(write(tmp_path, binary(), SHORTS.tobytes(), head))
    head = HEAD.replace("2 3 4", "1000 1000 1000")
    for extra in ("", "CompressedData = True\n", "BinaryData = False\n"):
        with pytest.raises(UnreadableFile, match="cannot hold"):
            metaimage.read_metaimage(write(tmp_path, binary(extra=extra), SHORTS.tobytes(), head))


def test_data_that_are_too_long_are_not_padding(tmp_path: Path) -> None:
    path = write(tmp_path, binary(), SHORTS.tobytes() + b"\0" * 11)
    assert metaimage.read_metaimage(path).repairs == (
        "11 bytes after the voxels of a.raw were ignored",
    )
    # One slice of 2 x 3 voxels of 2 bytes more, and a 16-bit file declared as 8-bit.
    with pytest.raises(UnreadableFile, match="more data"):
        metaimage.read_metaimage(write(tmp_path, binary(), SHORTS.tobytes() + b"\0" * 12))
    with pytest.raises(UnreadableFile, match="more data"):
        metaimage.read_metaimage(write(tmp_path, binary("MET_UCHAR"), SHORTS.tobytes()))


@pytest.mark.parametrize("garbage", [b"", b"\0" * 4000, b"\xff" * 4000, b"a" * 3_000_000])
def test_garbage_is_refused(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "a.mha").write_bytes(garbage)
    with pytest.raises(UnreadableFile):
        metaimage.read_metaimage(tmp_path / "a.mha")


@pytest.mark.slow
@settings(max_examples=200)
@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4),
    cut=st.integers(0, 400),
    compressed=st.booleans(),
)
def test_flips_and_cuts_give_a_volume_or_our_error(
    tmp_path_factory: pytest.TempPathFactory,
    flips: list[tuple[int, int]],
    cut: int,
    compressed: bool,
) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.mha"
    extra = "CompressedData = True\n" if compressed else ""
    body = zlib.compress(SHORTS.tobytes()) if compressed else SHORTS.tobytes()
    data = bytearray((HEAD + IDENTITY + binary(extra=extra, file="LOCAL")).encode() + body)
    for at, mask in flips:
        data[at % len(data)] ^= mask
    path.write_bytes(bytes(data[: len(data) - cut if cut < 40 else len(data)]))
    try:
        volume = metaimage.read_metaimage(path, limits=Limits(voxels=100_000))
    except InputError:
        return
    assert np.isfinite(volume.affine).all()
    assert volume.voxels.ndim in (3, 4)
