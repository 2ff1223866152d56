"""Cut and flipped clips are refused or read whole; a failing frame is not the end."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from qoqdata.errors import InputError, UnreadableFile
from qoqdata.readers import video
from qoqdata.readers.limits import Limits
from qoqdata.readers.video import FramePolicy
from tests.readers.video_clips import ALL, CONTAINERS, scene, written_gif

_FEW = Limits(image_pixels=5_000_000, frames=2000, voxels=200_000_000)


def _flip(clips: dict[str, Path], tmp_path: Path, name: str, *, seed: int, rounds: int) -> None:
    source = clips.get(name) or written_gif(tmp_path / "whole.gif", scene(8), [50] * 8)
    data, random = source.read_bytes(), np.random.default_rng(seed)
    path = tmp_path / name
    for round_ in range(rounds):
        damaged = bytearray(data)
        for _ in range(int(random.integers(1, 4))):
            end = len(data) if round_ % 2 else min(len(data), 3000)
            damaged[int(random.integers(0, end))] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            clip = video.read_video(path, choose=FramePolicy("uniform", count=3), limits=_FEW)
        except InputError:
            continue
        assert clip.frames.dtype == np.uint8
        assert clip.frames.shape[0] == len(clip.indices) == min(3, clip.frame_count)
        assert clip.frames.shape[3] == 3


@pytest.mark.parametrize("name", [*CONTAINERS, "a.gif"])
def test_a_cut_clip_is_never_read(clips: dict[str, Path], tmp_path: Path, name: str) -> None:
    source = clips.get(name) or written_gif(tmp_path / "whole.gif", scene(8), [50] * 8)
    data = source.read_bytes()
    path = tmp_path / name
    size = len(data)
    for length in sorted({size - 1, size - 2, size - 9, *range(1, size, max(1, size // 25))}):
        path.write_bytes(data[:length])
        with pytest.raises(InputError):
            video.read_video(path, choose=FramePolicy("uniform", count=2), limits=_FEW)


@pytest.mark.parametrize("name", [*CONTAINERS, "a.gif"])
def test_flipped_bits_give_frames_or_our_error(
    clips: dict[str, Path], tmp_path: Path, name: str
) -> None:
    _flip(clips, tmp_path, name, seed=1, rounds=25)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("name", [*CONTAINERS, "a.gif"])
def test_many_flipped_bits(clips: dict[str, Path], tmp_path: Path, name: str, seed: int) -> None:
    _flip(clips, tmp_path, name, seed=seed, rounds=300)


def test_a_frame_that_fails_in_the_middle_is_not_the_end(
    clips: dict[str, Path], tmp_path: Path
) -> None:
    """The JPEG of frame 10 emptied: a plain read loop would stop there and call it the end."""
    data = bytearray(clips["a.avi"].read_bytes())
    place = data.index(b"movi")
    for _ in range(11):
        place = data.index(b"00dc", place + 1)
    size = struct.unpack_from("<I", data, place + 4)[0]
    data[place + 8 : place + 8 + size] = bytes(size)
    path = tmp_path / "hole.avi"
    path.write_bytes(data)
    with pytest.raises(UnreadableFile):
        video.read_video(path, choose=ALL)


def test_a_seek_to_nowhere_is_answered_not_raised(clips: dict[str, Path], tmp_path: Path) -> None:
    """A wrong size in an ASF header makes FFmpeg seek backwards out of the file; an exception in
    its callback would end the process."""
    source = video._Source(io.BytesIO(b"12345"))
    assert source.seek(-1) == source.seek(1 << 70) == -1
    assert source.seek(2) == 2
    assert source.read() == b"345"
    data = bytearray(clips["a.wmv"].read_bytes())
    first_object = 30 + 16  # the header object's own 30 bytes, then 16 bytes of name
    assert data[first_object : first_object + 8] == struct.pack("<Q", 0x68)
    data[first_object] = 0x78
    path = tmp_path / "lie.wmv"
    path.write_bytes(data)
    with pytest.raises(UnreadableFile):
        video.read_video(path, choose=ALL)


def test_the_end_is_asked_for_more_than_once() -> None:
    class Capture:
        def __init__(self, *answers: bool) -> None:
            self.answers = list(answers)

        def grab(self) -> bool:
            return self.answers.pop(0) if self.answers else False

    assert video._grab(Capture(True), 0, "x")
    assert not video._grab(Capture(False, False), 7, "x")
    with pytest.raises(UnreadableFile, match="frame 7 cannot be decoded"):
        video._grab(Capture(False, False, True), 7, "x")


def test_reported_damage_is_refused(clips: dict[str, Path], tmp_path: Path) -> None:
    """The end of frame 10 inverted: FFmpeg still returns 20 frames, one of them patched."""
    data = bytearray(clips["b.avi"].read_bytes())
    place = data.index(b"movi")
    for _ in range(11):
        place = data.index(b"00dc", place + 1)
    size = struct.unpack_from("<I", data, place + 4)[0]
    damaged = slice(place + 8 + size // 2, place + 8 + size)
    data[damaged] = bytes(value ^ 0xFF for value in data[damaged])
    path = tmp_path / "damaged.avi"
    path.write_bytes(data)
    source = io.BytesIO(data)
    capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, [])
    assert sum(capture.grab() for _ in range(40)) == 20
    capture.release()
    with pytest.raises(UnreadableFile, match="decoder reports damage"):
        video.read_video(path, choose=ALL)


def test_nothing_is_printed_for_damaged_clips(
    clips: dict[str, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, source in clips.items():
        data = bytearray(source.read_bytes())
        for place in range(len(data) // 3, len(data), max(1, len(data) // 9)):
            data[place] ^= 0x24
        for damaged in (bytes(data), bytes(data[: len(data) // 2])):
            (tmp_path / name).write_bytes(damaged)
            try:
                video.read_video(tmp_path / name, choose=ALL, limits=_FEW)
            except InputError:
                continue
    assert capfd.readouterr() == ("", "")
