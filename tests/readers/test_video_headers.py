"""Headers that lie: counts and rates are settled by the frames, rotation is applied."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from qoqdata.readers import video
from qoqdata.readers.video import FramePolicy
from tests.readers.video_clips import ALL


@pytest.mark.parametrize("stated", [1, 5, 19, 21, 4000, 2**31 - 1, 0])
@pytest.mark.parametrize(
    "policy", [FramePolicy("uniform", count=4), ALL, FramePolicy("index", indices=(0, 19))]
)
def test_a_wrong_frame_count_in_avi(
    clips: dict[str, Path], tmp_path: Path, stated: int, policy: FramePolicy
) -> None:
    """OpenCV 4 stops one frame after a count that is too small."""
    data = bytearray(clips["a.avi"].read_bytes())
    stream = data.index(b"strh")
    assert struct.unpack_from("<I", data, stream + 40) == (20,)
    struct.pack_into("<I", data, stream + 40, stated)
    path = tmp_path / "lie.avi"
    path.write_bytes(data)
    clip = video.read_video(path, choose=policy)
    true = video.read_video(clips["a.avi"], choose=policy)
    assert clip.frame_count == 20
    np.testing.assert_array_equal(clip.frames, true.frames)
    assert any("expected from the header, 20 decode" in repair for repair in clip.repairs) or (
        stated == 0
    )


def test_a_missing_frame_rate_in_avi(clips: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(clips["a.avi"].read_bytes())
    struct.pack_into("<II", data, data.index(b"strh") + 28, 1, 0)  # dwScale 1, dwRate 0
    struct.pack_into("<I", data, data.index(b"avih") + 8, 0)
    path = tmp_path / "lie.avi"
    path.write_bytes(data)
    clip = video.read_video(path, choose=ALL)
    assert clip.frame_count == 20
    assert clip.fps is None or 0 < clip.fps <= 1000


def test_variable_frame_rate_in_mp4(clips: dict[str, Path], tmp_path: Path) -> None:
    """The sample durations (stts) rewritten: one run of 20 becomes runs of 10 short, 10 long."""
    data = clips["a.mp4"].read_bytes()
    table = data.index(b"stts")
    size, _, runs, count, delta = struct.unpack_from(">I4xIIII", data, table - 4)
    assert (size, runs, count) == (24, 1, 20)
    longer = struct.pack(">I4sIIIIII", 32, b"stts", 0, 2, 10, delta, 10, 3 * delta)
    changed = bytearray(data[: table - 4] + longer + data[table + 20 :])
    assert data.index(b"mdat") < data.index(b"moov")  # so no chunk offset moves
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        place = changed.index(box) - 4
        struct.pack_into(">I", changed, place, struct.unpack_from(">I", changed, place)[0] + 8)
    path = tmp_path / "vfr.mp4"
    path.write_bytes(changed)
    clip = video.read_video(path, choose=ALL)
    # The edit list still ends at 1.6 s: what every player leaves out is left out, and noted.
    assert clip.repairs == (
        "20 frames expected from the header, 14 decode",
        "variable frame rate: 80 to 240 ms between frames",
    )
    path.write_bytes(changed.replace(b"edts", b"free"))
    clip = video.read_video(path, choose=ALL)
    assert clip.frame_count == 20
    assert clip.repairs == ("variable frame rate: 80 to 240 ms between frames",)
    assert clip.times_s[10] == pytest.approx(0.8)
    assert clip.times_s[11] == pytest.approx(1.04)
    np.testing.assert_array_equal(clip.frames, video.read_video(clips["a.mp4"], choose=ALL).frames)


def test_rotation_in_mp4_is_applied_and_noted(clips: dict[str, Path], tmp_path: Path) -> None:
    """The matrix of the track header (ISO/IEC 14496-12, 8.3.2) turned by 90 degrees."""
    data = bytearray(clips["a.mp4"].read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    assert struct.unpack_from(">9i", data, matrix)[:5] == (one, 0, 0, 0, one)
    struct.pack_into(">9i", data, matrix, 0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    clip = video.read_video(path, choose=ALL)
    upright = video.read_video(clips["a.mp4"], choose=ALL).frames
    np.testing.assert_array_equal(clip.frames, np.rot90(upright, -1, axes=(1, 2)))
    assert clip.repairs == ("rotation of 90 degrees stated in the header applied",)
