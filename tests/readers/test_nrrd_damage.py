"""NRRD files that are damaged, that lie about their size, or that hold what is not read."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import InputError, TooLarge, UnreadableFile, UnsupportedFormat
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume import nrrd
from tests.readers.nrrd_files import ENCODE, SHORTS, header, write


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "block", "block_size": "4"},
        {"encoding": "zrl"},
        {"dimension": "1", "sizes": "24"},
        {"space": "3D-left-handed"},
        {"space": "left-posterior-superior-time"},
        {"kinds": "RGB-color domain domain", "sizes": "3 2 4"},
        {"kinds": "complex domain domain"},
        {"dimension": "4", "sizes": "3 2 2 2", "kinds": "vector domain domain domain",
         "space_directions": "none (1,0,0) (0,1,0) (0,0,1)"},
        {"space_units": '"inch" "inch" "inch"'},
        {"space_units": '"mm" "mm" "cm"'},
        {"encoding": "gzip", "byte_skip": "-1"},
        {"encoding": "hex", "byte_skip": "1"},
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused(tmp_path: Path, fields: dict[str, str]) -> None:
    with pytest.raises(UnsupportedFormat):
        nrrd.read_nrrd(write(tmp_path, header(**fields), SHORTS.tobytes()))


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "shot"},
        {"dimension": "three"},
        {"dimension": "4"},
        {"sizes": "2 3 5"},
        {"sizes": "2 3 -4"},
        {"sizes": "2 3"},
        {"sizes": "2 3 4.0"},
        {"sizes": f"2 3 {'9' * 5000}"},
        {"type": "double"},
        {"endian": "middle"},
        {"space_directions": "(nan,0,0) (0,2,0) (0,0,3)"},
        {"space_directions": "(0.5,0,0) (0,2,0) (0,2,0)"},
        {"space_directions": "(0.5,0,0) (0,2,0)"},
        {"space_directions": "(0.5,0) (0,2) (0,0)"},
        {"space_directions": "(a,0,0) (0,2,0) (0,0,3)"},
        {"space_directions": "(0.5,0,0 (0,2,0) (0,0,3)"},
        {"space_directions": "(0.5,0,0) x (0,2,0) (0,0,3)"},
        {"space_directions": ""},
        {"space_origin": ""},
        {"space_origin": "(1,2)"},
        {"space_origin": "(1,2,inf)"},
        {"kinds": "domain domain"},
        {"line_skip": "-1"},
        {"line_skip": "99"},
        {"byte_skip": "-2"},
        {"byte_skip": "99"},
        {"byte_skip": "99999999999999999999"},
        {"encoding": "gzip"},
        {"encoding": "bzip2"},
        {"encoding": "hex"},
        {"encoding": "text"},
        {"colour": "red"},
        {"Type": "short"},
    ],
)
def test_damaged_headers_are_refused(tmp_path: Path, fields: dict[str, str]) -> None:
    with pytest.raises(InputError):
        nrrd.read_nrrd(write(tmp_path, header(**fields), SHORTS.tobytes()))


@pytest.mark.parametrize("name", ["type", "dimension", "sizes", "encoding", "endian"])
def test_required_fields(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnreadableFile):
        nrrd.read_nrrd(write(tmp_path, header((name,)), SHORTS.tobytes()))


def test_zlib_in_place_of_gzip_is_refused(tmp_path: Path) -> None:
    # Teem reads such a file as if it were raw, and says nothing.
    path = write(tmp_path, header(encoding="gzip"), zlib.compress(SHORTS.tobytes()))
    with pytest.raises(UnreadableFile, match="gzip"):
        nrrd.read_nrrd(path)


def test_hundred_gigavoxels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="voxels"):
        nrrd.read_nrrd(write(tmp_path, header(sizes="5000 5000 4000"), SHORTS.tobytes()))
    for encoding in ("raw", "gzip", "hex", "text"):
        head = header(sizes="1000 1000 1000", encoding=encoding)
        with pytest.raises(UnreadableFile, match="cannot hold"):
            nrrd.read_nrrd(write(tmp_path, head, SHORTS.tobytes()))


@pytest.mark.parametrize(
    "garbage",
    [b"", b"NRRD", b"NRRD0009\n", b"NRRD0004", b"\0" * 999, b"NRRD0004\n" + b"#\n" * 600_000],
)
def test_garbage_is_refused(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "a.nrrd").write_bytes(garbage)
    with pytest.raises(UnreadableFile):
        nrrd.read_nrrd(tmp_path / "a.nrrd")


@pytest.mark.slow
@settings(max_examples=200)
@given(
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4),
    cut=st.integers(0, 400),
    encoding=st.sampled_from(["raw", "gzip", "bzip2", "hex"]),
)
def test_flips_and_cuts_give_a_volume_or_our_error(
    tmp_path_factory: pytest.TempPathFactory,
    flips: list[tuple[int, int]],
    cut: int,
    encoding: str,
) -> None:
    path = tmp_path_factory.mktemp("flip") / "a.nrrd"
    data = bytearray(header(encoding=encoding) + b"\n" + ENCODE[encoding](SHORTS.tobytes()))
    for at, mask in flips:
        data[at % len(data)] ^= mask
    path.write_bytes(bytes(data[: len(data) - cut if cut < 60 else len(data)]))
    try:
        volume = nrrd.read_nrrd(path, limits=Limits(voxels=100_000))
    except InputError:
        return
    assert np.isfinite(volume.affine).all()
    assert volume.voxels.ndim in (3, 4)
