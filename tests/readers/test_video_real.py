"""Real clips: frames counted against the containers' own tables, damage noticed."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from qoqdata.errors import UnreadableFile
from qoqdata.readers import video
from qoqdata.readers.video import FramePolicy
from tests.readers.video_clips import ALL


def _samples_of_mp4(data: bytes) -> int:
    """Samples of the video track: the sample size table behind the `vmhd` box."""
    track = data.index(b"vmhd")
    return struct.unpack_from(">I", data, data.index(b"stsz", track) + 12)[0]


def _chunks_of_avi(data: bytes) -> int:
    """Video chunks inside the `movi` list, walked one by one."""
    place, count = data.index(b"movi") + 4, 0
    while data[place : place + 2].isdigit():
        kind, size = data[place + 2 : place + 4], struct.unpack_from("<I", data, place + 4)[0]
        count += kind in (b"dc", b"db") and size > 0
        place += 8 + size + size % 2
    return count


def _images_of_mpeg(data: bytes) -> int:
    """Image start codes in the video packets of a program stream, put together again."""
    place, stream = 0, b""
    while place + 6 <= len(data) and data[place : place + 3] == b"\0\0\1":
        code = data[place + 3]
        if code == 0xBA:
            place += 12 if data[place + 4] >> 4 == 2 else 14 + (data[place + 13] & 7)
            continue
        size = struct.unpack_from(">H", data, place + 4)[0]
        body = data[place + 6 : place + 6 + size]
        if 0xE0 <= code <= 0xEF:
            if body[0] >> 6 == 2:  # MPEG-2: flags, then a stated header length
                body = body[3 + body[2] :]
            else:  # MPEG-1: stuffing, buffer size, time stamps
                body = body.lstrip(b"\xff")
                body = body[2:] if body[0] >> 6 == 1 else body
                body = body[{2: 5, 3: 10}.get(body[0] >> 4, 1) :]
            stream += body
        place += 6 + size
    return stream.count(b"\0\0\1\0")


def _frames_of_gif(data: bytes) -> int:
    image, count = Image.open(io.BytesIO(data)), 0
    while True:
        try:
            image.seek(count)
        except EOFError:
            return count
        count += 1


_COUNTED = {
    ".mp4": _samples_of_mp4,
    ".mov": _samples_of_mp4,
    ".avi": _chunks_of_avi,
    ".mpeg": _images_of_mpeg,
    ".gif": _frames_of_gif,
}


def test_real_clips_have_the_frames_that_their_containers_list(realdata: Path) -> None:
    seen: dict[str, int] = {}
    for path in sorted((realdata / "ultrasound").rglob("*")):
        kind = path.suffix.lower()
        if kind not in _COUNTED:
            continue
        seen[kind] = seen.get(kind, 0) + 1
        clip = video.read_video(path, choose=FramePolicy("uniform", count=3))
        data = path.read_bytes()
        assert clip.frame_count == _COUNTED[kind](data), path
        source = io.BytesIO(data)
        capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, [])
        plain = []
        while (frame := capture.read()[1]) is not None:
            plain.append(frame)
        capture.release()
        assert len(plain) == clip.frame_count, path
        for index, frame in zip(clip.indices, clip.frames, strict=True):
            expected = plain[index][..., ::-1]
            if kind == ".gif":  # Pillow decodes it here, FFmpeg there
                image = Image.open(source)
                image.seek(index)
                np.testing.assert_array_equal(frame, np.asarray(image.convert("RGB")))
                assert np.abs(frame.astype(int) - expected).mean() < 1
            else:
                np.testing.assert_array_equal(frame, expected)
        assert clip.fps is not None and 5 < clip.fps < 60
        assert clip.duration_s == pytest.approx(clip.frame_count / clip.fps, rel=0.01)
    assert seen == {".mp4": 22, ".avi": 3, ".gif": 2, ".mov": 1, ".mpeg": 1}


def test_real_clips_that_need_a_note(realdata: Path) -> None:
    folder = realdata / "ultrasound/pocus/data/pocus_videos/convex"
    one = FramePolicy("uniform", count=1)
    mpeg = video.read_video(folder / "Reg_pat1Image_133232.mpeg", choose=one)
    assert mpeg.repairs == (
        "199 frames expected from the header, 200 decode",
        "time stamps missing or running backwards: 1",
    )
    wide = video.read_video(folder / "Cov_combatting_Image1.mp4", choose=one)
    assert wide.repairs == ("pixels are not square (9:8), shape kept as stored",)


def test_most_damage_in_a_real_clip_is_noticed(realdata: Path, tmp_path: Path) -> None:
    """FFmpeg conceals it; its reports give it away. Frames that pass are those of the whole file
    or a valid stream of other frames, never fewer."""
    folder = realdata / "ultrasound/pocus/data/pocus_videos/convex"
    data = (folder / "Pneu_liftl_pneu_case3_clip3.mp4").read_bytes()
    path = tmp_path / "damaged.mp4"
    refused = 0
    for place in range(len(data) // 3, len(data) * 2 // 3, len(data) // 60):
        damaged = bytearray(data)
        damaged[place] ^= 8
        path.write_bytes(damaged)
        try:
            assert video.read_video(path, choose=ALL).frame_count == 25
        except UnreadableFile:
            refused += 1
    assert refused >= 12
