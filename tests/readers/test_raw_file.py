"""Files are read once, and the digest is of the bytes that were decoded."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from pydicom.data import get_testdata_file

from qoqdata.errors import TooLarge, UnreadableFile
from qoqdata.readers import encode, raw_file, volume
from qoqdata.readers.dicom import read_dicom
from qoqdata.readers.ecg import read_ecg
from qoqdata.readers.image.reader import read_image
from qoqdata.readers.limits import Limits
from qoqdata.readers.raw_file import (
    RawDigests,
    open_raw_file,
    read_bounded_file,
    read_raw_file,
    taking_digests,
)

DICOM = (
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "image_dfl.dcm",
    "SC_rgb_rle_2frame.dcm",
    "examples_palette.dcm",
    "ExplVR_BigEnd.dcm",
)


def packaged(name: str) -> Path:
    path = get_testdata_file(name, download=False)
    assert path is not None
    return Path(str(path))


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file is opened through pathlib, which is how readers do it."""
    counts: Counter[str] = Counter()
    plain = Path.open

    def counting(self: Path, *args: Any, **settings: Any) -> Any:
        counts[self.name] += 1
        return plain(self, *args, **settings)

    monkeypatch.setattr(Path, "open", counting)
    return counts


@pytest.mark.parametrize("taking", [taking_digests, nullcontext])
def test_a_bounded_file_is_looked_up_before_it_is_read(
    tmp_path: Path, opens: Counter[str], taking: Callable[[], AbstractContextManager[Any]]
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    opens.clear()
    with taking():
        with pytest.raises(TooLarge, match="the name"):
            read_bounded_file(path, Limits(file_bytes=4), where="the name")
        assert not opens
        assert read_bounded_file(path, Limits(file_bytes=5), where="the name") == b"12345"
    os.mkfifo(tmp_path / "pipe")
    with taking(), pytest.raises(UnreadableFile, match="named pipe"):
        read_bounded_file(tmp_path / "pipe", Limits(), where="the name")


def test_a_bounded_file_is_digested_as_it_is_read(tmp_path: Path, opens: Counter[str]) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"first")
    opens.clear()
    with taking_digests() as digests:
        assert read_bounded_file(path, Limits(), where="a") == b"first"
        assert read_raw_file(path) == b"first"
    assert digests.of(path) == blake3(b"first").digest()
    # The second reader looks whether it is the same file still.
    assert opens["a"] == 2


def test_the_digest_is_of_what_was_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"first")
    with taking_digests() as digests:
        assert read_raw_file(path) == b"first"
    state = path.stat()
    path.write_bytes(b"other")  # of the same length and, by the clock, of the same time
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert digests.of(path) == blake3(b"first").digest()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert digests.of(path) == blake3(b"other").digest()


@pytest.mark.parametrize("told", [0, 3, 5, 6])
def test_a_file_that_says_less_or_more_of_its_size_is_read_as_it_is(
    tmp_path: Path, told: int
) -> None:
    """Some file systems tell 0 for what they make up; one of less than was told has ended."""
    path = tmp_path / "a"
    path.write_bytes(b"abcde")
    digests = raw_file.RawDigests()
    state = (1, 2, told, 3)
    with path.open("rb", buffering=0) as file:
        content = digests.content(state, file)
    assert content == (b"abc" if told == 3 else b"abcde")
    assert digests.of_state(state) == (blake3(content).digest() if told in (3, 5) else None)


def test_outside_nothing_is_held(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"text")
    with open_raw_file(path) as file:
        assert file.name == str(path) and file.read() == b"text"
    assert RawDigests().of(path) == blake3(b"text").digest()


def test_large_files_stay_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_file, "WHOLE_BYTES", 3)
    path = tmp_path / "a"
    path.write_bytes(b"text")
    with taking_digests() as digests, open_raw_file(path) as file:
        assert file.name == str(path)
        assert digests.of(path) == blake3(b"text").digest()


def test_ledgers_do_not_leak(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"text")
    with taking_digests() as outer:
        with pytest.raises(ValueError, match="stop"), taking_digests():
            raise ValueError("stop")
        read_raw_file(path)
        assert outer._by_state
    assert raw_file._DIGESTS.get() is None


@pytest.mark.parametrize("name", DICOM)
def test_a_dicom_file_gives_the_same_from_memory(name: str, opens: Counter[str]) -> None:
    path = packaged(name)
    plain = read_dicom(path)
    opens.clear()
    with taking_digests() as digests:
        held = read_dicom(path)
        assert digests.of(path) == blake3(path.read_bytes()).digest()
    assert np.array_equal(plain.frames, held.frames) and plain.repairs == held.repairs
    assert opens[name] == 2  # the reader's, and this test's


def test_a_cut_dicom_file_is_still_refused(tmp_path: Path) -> None:
    whole = packaged("CT_small.dcm").read_bytes()
    for length in (100, 5000, len(whole) - 1000):
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        with taking_digests(), pytest.raises(UnreadableFile):
            read_dicom(tmp_path / "cut.dcm")


def test_other_readers_read_once(tmp_path: Path, opens: Counter[str]) -> None:
    import nibabel
    import wfdb

    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    (tmp_path / "a.png").write_bytes(encode.png(pixels))
    nibabel.save(nibabel.Nifti1Image(pixels[..., None], np.eye(4)), tmp_path / "a.nii.gz")
    signal = np.outer(np.sin(np.arange(500) / 9), [1.0, 0.5])
    wfdb.wrsamp("r", 100, ["mV"] * 2, ["I", "II"], signal, fmt=["16"] * 2, write_dir=str(tmp_path))
    names = ("a.png", "a.nii.gz", "r.hea", "r.dat")
    contents = {name: (tmp_path / name).read_bytes() for name in names}
    opens.clear()
    with taking_digests() as digests:
        assert np.array_equal(read_image(tmp_path / "a.png").pixels, pixels)
        assert volume.read_volume(tmp_path / "a.nii.gz").voxels.shape == (8, 8, 1)
        assert np.allclose(read_ecg(tmp_path / "r.hea").signal.T, signal, atol=1e-3)
        opens.clear()
        for name, content in contents.items():
            assert digests.of(tmp_path / name) == blake3(content).digest()
    assert not opens, "a digest was taken from the disk again"


def test_several_readers_of_a_file_share_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"text")
    with taking_digests():
        first = read_raw_file(path)
        assert read_raw_file(path) is first
        path.write_bytes(b"longer")
        assert read_raw_file(path) == b"longer"
    monkeypatch.setattr(raw_file, "WHOLE_BYTES", 7)
    other = tmp_path / "b"
    other.write_bytes(b"more")
    with taking_digests() as digests:
        read_raw_file(path), read_raw_file(other)
        assert list(digests._contents.values()) == [b"more"], "what is kept is bounded"


def test_the_name_of_the_algorithm_is_that_of_the_digest() -> None:
    assert raw_file.DIGEST == "blake3"
    assert blake3(b"").hexdigest() != hashlib.sha256(b"").hexdigest()
