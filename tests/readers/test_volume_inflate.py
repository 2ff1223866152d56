"""Bounded inflation: what zlib, gzip and bz2 write comes back; bombs and damage are refused."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import TooLarge, UnreadableFile
from qoqdata.readers import volume
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume.inflate import CHUNK, could_hold, fill, inflated, leading_bytes

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
}
FOUR_MIB = 2**22


def decode(data: bytes, encoding: str) -> bytes:
    return b"".join(inflated(io.BytesIO(data), encoding, where="test"))  # type: ignore[arg-type]


@given(data=st.binary(max_size=3000), encoding=st.sampled_from(sorted(COMPRESS)))
def test_round_trip(data: bytes, encoding: str) -> None:
    assert decode(COMPRESS[encoding](data), encoding) == data


@pytest.mark.parametrize("encoding", sorted(COMPRESS))
def test_long_data_come_in_small_chunks(encoding: str) -> None:
    noise = np.random.default_rng(1).integers(0, 256, CHUNK + 17, np.uint8).tobytes()
    data = noise + b"\0" * (3 * CHUNK) + noise
    stream = io.BytesIO(COMPRESS[encoding](data))
    chunks = list(inflated(stream, encoding, where="test"))  # type: ignore[arg-type]
    assert b"".join(chunks) == data
    assert max(map(len, chunks)) <= CHUNK


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_members_follow_one_another_with_zero_padding_between(encoding: str) -> None:
    one, two = COMPRESS[encoding](b"first "), COMPRESS[encoding](b"second")
    assert decode(one + b"\0" * 700 + two + b"\0" * 5, encoding) == b"first second"


@pytest.mark.parametrize("encoding", ["gzip", "zlib", "bzip2"])
def test_foreign_bytes_after_the_end_are_refused(encoding: str) -> None:
    with pytest.raises(UnreadableFile, match="foreign"):
        decode(COMPRESS[encoding](b"voxels") + b"x", encoding)


@pytest.mark.parametrize("encoding", ["gzip", "zlib", "bzip2"])
def test_truncation_is_refused_at_every_length(encoding: str) -> None:
    whole = COMPRESS[encoding](bytes(range(256)) * 4)
    for length in range(1, len(whole)):
        with pytest.raises(UnreadableFile):
            decode(whole[:length], encoding)


@pytest.mark.parametrize("encoding", ["gzip", "zlib", "bzip2"])
def test_a_changed_byte_never_changes_the_data(encoding: str) -> None:
    original = bytes(range(256)) * 4
    whole = COMPRESS[encoding](original)
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        with contextlib.suppress(UnreadableFile):
            # Some header bytes (time, operating system) carry nothing.
            assert decode(bytes(damaged), encoding) == original


def test_leading_bytes_stop_early() -> None:
    stream = io.BytesIO(gzip.compress(b"header" + b"\0" * FOUR_MIB))
    assert leading_bytes(stream, "gzip", 8, where="test") == b"header\0\0"
    assert leading_bytes(io.BytesIO(b"abc"), "raw", 8, where="test") == b"abc"


@settings(max_examples=50)
@given(
    data=st.binary(min_size=1, max_size=200),
    skip=st.integers(0, 50),
    count=st.integers(1, 100),
    slack=st.integers(0, 100),
    cut=st.integers(1, 60),
)
def test_fill_takes_exactly_its_part(
    data: bytes, skip: int, count: int, slack: int, cut: int
) -> None:
    chunks = (data[at : at + cut] for at in range(0, len(data), cut))
    buffer = np.zeros(count, np.uint8)
    extra = len(data) - skip - count
    if not 0 <= extra <= slack:
        with pytest.raises(UnreadableFile):
            fill(buffer, chunks, skip=skip, slack=slack, where="test")
        return
    assert fill(buffer, chunks, skip=skip, slack=slack, where="test") == extra
    assert buffer.tobytes() == data[skip : skip + count]


def test_could_hold_admits_the_best_case_of_deflate() -> None:
    best = zlib.compress(bytes(FOUR_MIB), 9)
    assert could_hold(len(best), FOUR_MIB, "zlib")
    assert not could_hold(len(best), 2 * FOUR_MIB, "zlib")
    assert could_hold(10, 10, "raw")
    assert not could_hold(9, 10, "raw")


def bomb(header: bytes, gigabytes: int) -> bytes:
    """One gzip stream of `header` and then zeros, made from one repeated deflate block."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = deflate.compress(header) + deflate.flush(zlib.Z_FULL_FLUSH)
    zeros = deflate.compress(bytes(FOUR_MIB)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return start + zeros * (gigabytes * 2**30 // FOUR_MIB) + deflate.flush()


def peak_memory_while_refused(path: Path, error: type[Exception], limits: Limits) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(error):
            volume.read_volume(path, limits=limits)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def nifti_header(shape: tuple[int, ...]) -> bytes:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.uint8)
    header["dim"][: 1 + len(shape)] = [len(shape), *shape]
    header["sform_code"] = 1
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    return bytes(header.binaryblock) + bytes(4)


@pytest.mark.parametrize(
    ("name", "head", "error", "limits"),
    [
        ("small.nii.gz", nifti_header((10, 10, 10)), UnreadableFile, Limits()),
        ("honest.nii.gz", nifti_header((1024, 1024, 1024, 8)), TooLarge, Limits()),
        ("noise.nii.gz", b"\0" * 600, UnreadableFile, Limits()),
        ("bound.nii.gz", nifti_header((1024, 1024, 1024)), TooLarge, Limits(inflated_bytes=2**29)),
    ],
)
def test_gzip_bombs_are_refused_with_little_memory(
    tmp_path: Path, name: str, head: bytes, error: type[Exception], limits: Limits
) -> None:
    path = tmp_path / name
    path.write_bytes(bomb(head, gigabytes=8))
    assert path.stat().st_size < 10 * 2**20
    assert peak_memory_while_refused(path, error, limits) < 32 * 2**20


@pytest.mark.parametrize("encoding", ["gzip", "bzip2"])
def test_nrrd_bombs_are_refused_with_little_memory(tmp_path: Path, encoding: str) -> None:
    head = (
        f"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 9 9 9\nencoding: {encoding}\n"
        "space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\n\n"
    ).encode()
    data = bomb(b"", gigabytes=2) if encoding == "gzip" else bz2.compress(bytes(2**25)) * 20
    (tmp_path / "a.nrrd").write_bytes(head + data)
    assert peak_memory_while_refused(tmp_path / "a.nrrd", UnreadableFile, Limits()) < 32 * 2**20


def test_metaimage_bomb_is_refused_with_little_memory(tmp_path: Path) -> None:
    head = b"NDims = 3\nDimSize = 9 9 9\nCompressedData = True\nElementType = MET_UCHAR\n"
    data = zlib.compress(bytes(2**28))
    (tmp_path / "a.mha").write_bytes(head + b"ElementDataFile = LOCAL\n" + data)
    assert peak_memory_while_refused(tmp_path / "a.mha", UnreadableFile, Limits()) < 32 * 2**20
