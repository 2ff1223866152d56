"""Clips: frames counted against the container's own tables, lies noted, damage refused."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from qoqdata.errors import InputError, MissingFile, TooLarge, UnreadableFile, UsageError
from qoqdata.readers import video, video_timing
from qoqdata.readers.limits import Limits
from qoqdata.readers.video import FramePolicy
from qoqdata.readers.video_frames import choose, describe

ALL = FramePolicy("all")


def _scene(count: int, rows: int = 48, columns: int = 64) -> list[np.ndarray]:
    """RGB frames: brightness counts the frames, a red square moves to the right."""
    frames = []
    for index in range(count):
        frame = np.full((rows, columns, 3), 6 * index + 10, np.uint8)
        frame[8:24, index : index + 16] = (220, 30, 40)
        frames.append(frame)
    return frames


def _written(path: Path, code: str, count: int = 20) -> Path:
    fps = 25 if code == "PIM1" else 12.5  # MPEG-1 knows a few rates only
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, (64, 48))
    for frame in _scene(count):
        writer.write(frame[..., ::-1])
    writer.release()
    return path


CONTAINERS = {"a.avi": "MJPG", "b.avi": "XVID", "a.mp4": "mp4v", "a.mov": "mp4v", "a.wmv": "WMV2"}
CONTAINERS |= {"a.webm": "VP80", "a.mpg": "PIM1", "a.ts": "PIM1"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    return {name: _written(folder / name, code) for name, code in CONTAINERS.items()}


def _gif(path: Path, frames: list[np.ndarray], delays: list[int], **how: object) -> Path:
    pictures = [Image.fromarray(frame).quantize(32) for frame in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=delays, **how)
    return path


# --- policies ------------------------------------------------------------------------------------


def test_uniform_takes_the_centres_of_equal_parts() -> None:
    assert choose(FramePolicy("uniform", count=2), 10) == (2, 7)
    assert choose(FramePolicy("uniform", count=4), 100) == (12, 37, 62, 87)
    assert choose(FramePolicy("uniform", count=1), 9) == (4,)
    assert choose(FramePolicy("uniform", count=8), 3) == (0, 1, 2)


def test_other_policies() -> None:
    assert choose(ALL, 3) == (0, 1, 2)
    assert choose(FramePolicy("every", step=4), 10) == (0, 4, 8)
    assert choose(FramePolicy("index", indices=(5, 1, 5)), 6) == (1, 5)
    with pytest.raises(InputError, match="frame 6 is asked for, the clip has 6"):
        choose(FramePolicy("index", indices=(6,)), 6)
    assert choose(ALL, 0) == choose(FramePolicy("uniform", count=3), 0) == ()


@given(st.integers(1, 40), st.integers(1, 3000))
def test_uniform_spreads_evenly(count: int, n: int) -> None:
    got = choose(FramePolicy("uniform", count=count), n)
    assert len(got) == len(set(got)) == min(count, n)
    assert list(got) == sorted(got)
    assert got[0] >= 0 and got[-1] < n
    if count < n:  # each frame lies in its own part, and the ends weigh alike
        for part, index in enumerate(got):
            assert part * n <= index * count + count
            assert index * count < (part + 1) * n
        assert abs(got[0] - (n - 1 - got[-1])) <= 1


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "uniform"},
        {"kind": "every", "step": 0},
        {"kind": "index"},
        {"kind": "index", "indices": (-1,)},
        {"kind": "middle"},
    ],
)
def test_impossible_policies(fields: dict) -> None:
    with pytest.raises(ValueError, match=r"policy"):
        FramePolicy(**fields)


def test_policies_in_words() -> None:
    assert describe(FramePolicy("uniform", count=8)) == "centres of 8 equal parts"
    assert describe(FramePolicy("every", step=3)) == "every 3. frame from the first"
    assert describe(FramePolicy("index", indices=(0, 4))) == "frames 0, 4"
    assert describe(ALL) == "all frames"


# --- timing --------------------------------------------------------------------------------------


def test_regular_stamps_confirm_the_header() -> None:
    timing = video_timing.from_stamps([0, 33, 67, 100, 133], 30.0)  # whole milliseconds, as WebM
    assert (timing.fps, timing.repairs) == (30.0, ())
    assert timing.duration_s == pytest.approx(5 / 30)


def test_a_wrong_stated_rate_is_replaced() -> None:
    timing = video_timing.from_stamps([0, 40, 80, 120], 50.0)
    assert timing.fps == pytest.approx(25)
    assert timing.duration_s == pytest.approx(0.16)
    assert timing.repairs == ("header states 50 frames per second, time stamps give 25",)


@pytest.mark.parametrize("stated", [0.0, float("nan"), float("inf"), -5.0, 90000.0])
def test_an_impossible_rate(stated: float) -> None:
    timing = video_timing.from_stamps([0, 40, 80], stated)
    assert timing.fps == pytest.approx(25)
    assert "impossible" in timing.repairs[0]
    alone = video_timing.from_stamps([0], stated)
    assert (alone.fps, alone.duration_s, alone.starts_s) == (None, None, None)


def test_a_variable_rate() -> None:
    timing = video_timing.from_stamps([0, 40, 80, 280, 320], 25.0)
    assert timing.fps == pytest.approx(4 / 0.32)
    assert timing.duration_s == pytest.approx(0.36)
    assert timing.starts_s == (0.0, 0.04, 0.08, 0.28, 0.32)
    assert timing.repairs == ("variable frame rate: 40 to 200 ms between frames",)


def test_missing_stamps() -> None:
    timing = video_timing.from_stamps([0, 40, 80, -7840], 25.0)
    assert (timing.fps, timing.duration_s) == (25.0, 0.16)
    assert timing.repairs == ("time stamps missing or running backwards: 1",)
    none = video_timing.from_stamps([0, 0, 0], 10.0)
    assert (none.fps, none.duration_s) == (10.0, 0.3)


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(CONTAINERS))
def test_every_container(clips: dict[str, Path], name: str) -> None:
    clip = video.read(clips[name], choose=ALL)
    assert clip.frame_count == 20
    assert clip.indices == tuple(range(20))
    assert clip.frames.shape == (20, 48, 64, 3)
    assert clip.frames.dtype == np.uint8
    error = np.abs(clip.frames.astype(int) - np.stack(_scene(20)))
    assert np.median(error) <= 4  # lossy, but each frame in its place and red is red
    assert (clip.frames[5, 12:20, 9:16] - np.array([220, 30, 40])).mean() < 30
    assert clip.frames[5, 16, 12, 0] > 150 > clip.frames[5, 16, 12, 2]
    assert clip.fps == pytest.approx(25 if name in ("a.mpg", "a.ts") else 12.5, rel=0.01)
    assert clip.duration_s == pytest.approx(20 / clip.fps)


@pytest.mark.parametrize("name", list(CONTAINERS))
@pytest.mark.parametrize(
    "policy",
    [
        FramePolicy("uniform", count=3),
        FramePolicy("uniform", count=50),
        FramePolicy("every", step=7),
        FramePolicy("index", indices=(19, 0, 4)),
    ],
)
def test_chosen_frames_are_those_of_the_whole(
    clips: dict[str, Path], name: str, policy: FramePolicy
) -> None:
    whole = video.read(clips[name], choose=ALL)
    clip = video.read(clips[name], choose=policy)
    assert clip.indices == choose(policy, 20)
    np.testing.assert_array_equal(clip.frames, whole.frames[list(clip.indices)])
    assert clip.times_s == tuple(whole.times_s[index] for index in clip.indices)
    again = video.read(clips[name], choose=policy)
    np.testing.assert_array_equal(again.frames, clip.frames)


def test_gif(tmp_path: Path) -> None:
    frames = [np.kron(np.eye(6, dtype=np.uint8)[i], np.ones((12, 4), np.uint8)) for i in range(6)]
    frames = [np.dstack([frame * 200, frame * 90, frame * 10]) for frame in frames]
    path = _gif(tmp_path / "a.gif", frames, [100] * 6)
    clip = video.read(path, choose=ALL)
    np.testing.assert_array_equal(clip.frames, np.stack(frames))
    assert (clip.fps, clip.duration_s, clip.repairs) == (10.0, 0.6, ())
    some = video.read(path, choose=FramePolicy("uniform", count=2))
    assert some.indices == (1, 4)
    np.testing.assert_array_equal(some.frames, clip.frames[[1, 4]])


def test_gif_delays(tmp_path: Path) -> None:
    clip = video.read(_gif(tmp_path / "a.gif", _scene(3), [100, 300, 200]), choose=ALL)
    assert clip.times_s == (0.0, 0.1, 0.4)
    assert (clip.fps, clip.duration_s) == (5.0, 0.6)
    assert clip.repairs == ("variable frame rate: 100 to 300 ms between frames",)
    clip = video.read(_gif(tmp_path / "b.gif", _scene(3), [100, 0, 100]), choose=ALL)
    assert (clip.fps, clip.duration_s, clip.times_s) == (None, None, None)
    assert clip.repairs == ("1 of 3 images state no delay",)


def test_transparent_gif_is_noted(tmp_path: Path) -> None:
    frames = []
    for index in range(3):
        picture = Image.fromarray(np.full((8, 8), index, np.uint8), mode="P")
        picture.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
        picture.putpixel((0, 0), 0)
        frames.append(picture)
    path = tmp_path / "a.gif"
    frames[1].save(
        path, save_all=True, append_images=frames[2:], transparency=0, disposal=2, duration=50
    )
    clip = video.read(path, choose=ALL)
    assert clip.repairs == ("transparency of 2 frames dropped without blending",)


# --- lying headers -------------------------------------------------------------------------------


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
    clip = video.read(path, choose=policy)
    true = video.read(clips["a.avi"], choose=policy)
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
    clip = video.read(path, choose=ALL)
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
    clip = video.read(path, choose=ALL)
    # The edit list still ends at 1.6 s: what every player leaves out is left out, and noted.
    assert clip.repairs == (
        "20 frames expected from the header, 14 decode",
        "variable frame rate: 80 to 240 ms between frames",
    )
    path.write_bytes(changed.replace(b"edts", b"free"))
    clip = video.read(path, choose=ALL)
    assert clip.frame_count == 20
    assert clip.repairs == ("variable frame rate: 80 to 240 ms between frames",)
    assert clip.times_s[10] == pytest.approx(0.8)
    assert clip.times_s[11] == pytest.approx(1.04)
    np.testing.assert_array_equal(clip.frames, video.read(clips["a.mp4"], choose=ALL).frames)


def test_rotation_in_mp4_is_applied_and_noted(clips: dict[str, Path], tmp_path: Path) -> None:
    """The matrix of the track header (ISO/IEC 14496-12, 8.3.2) turned by 90 degrees."""
    data = bytearray(clips["a.mp4"].read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    one = 1 << 16
    assert struct.unpack_from(">9i", data, matrix)[:5] == (one, 0, 0, 0, one)
    struct.pack_into(">9i", data, matrix, 0, one, 0, -one, 0, 0, 48 * one, 0, 1 << 30)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    clip = video.read(path, choose=ALL)
    upright = video.read(clips["a.mp4"], choose=ALL).frames
    np.testing.assert_array_equal(clip.frames, np.rot90(upright, -1, axes=(1, 2)))
    assert clip.repairs == ("rotation of 90 degrees stated in the header applied",)


# --- what is not a clip --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile 'a.mp4'\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'><image href='a.png'/></svg>",
        b"<?xml version='1.0'?><MPD><BaseURL>http://127.0.0.1:9/</BaseURL></MPD>",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
        b"<html>Not found</html>",
        b"\xff\xd8\xff\xe0" + bytes(100),
        b"",
        bytes(1000),
    ],
)
def test_playlists_and_other_files_are_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(text)
    with pytest.raises(UnreadableFile):
        video.read(path, choose=ALL)


def test_a_playlist_that_points_at_a_real_clip_is_not_followed(
    clips: dict[str, Path], tmp_path: Path
) -> None:
    for text in (
        f"#EXTM3U\n#EXTINF:1,\n{clips['a.mp4']}\n",
        f"ffconcat version 1.0\nfile '{clips['a.mp4']}'\n",
    ):
        path = tmp_path / "clip.mp4"
        path.write_text(text)
        with pytest.raises(UnreadableFile, match="not a video"):
            video.read(path, choose=ALL)


@pytest.mark.parametrize("name", ["http://127.0.0.1:9/a.mp4", "concat:a.mp4|b.mp4", "-i", "pipe:0"])
def test_names_are_never_addresses(name: str) -> None:
    with pytest.raises(MissingFile):
        video.read(name, choose=ALL)


def test_a_name_with_a_pattern_or_protocol_is_a_name(
    clips: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "file:img_%03d.avi"
    path.write_bytes(clips["a.avi"].read_bytes())
    assert video.read(path, choose=ALL).frame_count == 20


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        video.read(tmp_path, choose=ALL)


def test_a_container_without_frames(clips: dict[str, Path], tmp_path: Path) -> None:
    data = clips["a.mp4"].read_bytes()
    path = tmp_path / "empty.mp4"
    path.write_bytes(data[: data.index(b"mdat") - 4])
    with pytest.raises(UnreadableFile):
        video.read(path, choose=ALL)
    gif = tmp_path / "empty.gif"
    gif.write_bytes(b"GIF89a\x04\0\x04\0\0\0\0;")
    with pytest.raises(UnreadableFile, match="no frame"):
        video.read(gif, choose=ALL)


def test_silenced_ffmpeg_is_refused(
    clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with pytest.raises(UsageError, match="OPENCV_FFMPEG_LOGLEVEL"):
        video.read(clips["a.mp4"], choose=ALL)


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        (Limits(frames=19), "frames"),
        (Limits(image_pixels=64 * 48 - 1), "image pixels"),
        (Limits(voxels=64 * 48 * 20 - 1), "voxels"),
        (Limits(file_bytes=100), "file bytes"),
    ],
)
def test_limits(clips: dict[str, Path], tmp_path: Path, limits: Limits, name: str) -> None:
    gif = _gif(tmp_path / "a.gif", _scene(20), [100] * 20)
    for path in (clips["a.avi"], clips["a.mp4"], gif):
        with pytest.raises(TooLarge, match=name):
            video.read(path, choose=ALL, limits=limits)
    few = FramePolicy("uniform", count=2)
    assert video.read(clips["a.avi"], choose=few, limits=Limits(voxels=64 * 48 * 2)).frame_count


def test_only_chosen_frames_are_held(tmp_path: Path) -> None:
    """300 frames of 640 x 480 are 276 MB; choosing 4 of them must not need an eighth of that."""
    path = tmp_path / "long.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (640, 480))
    for index in range(300):
        writer.write(np.full((480, 640, 3), index % 256, np.uint8))
    writer.release()
    code = (
        "import sys, resource\n"
        "from qoqdata.readers import video\n"
        "read = lambda: video.read(sys.argv[1], choose=video.FramePolicy('uniform', count=4),"
        " limits=video.Limits())\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "import cv2, numpy; before = peak(); clip = read()\n"
        "print(clip.frame_count, peak() - before)"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    count, megabytes = map(int, out.stdout.split())
    assert count == 300
    assert megabytes < 35


# --- damage --------------------------------------------------------------------------------------

_FEW = Limits(image_pixels=5_000_000, frames=2000, voxels=200_000_000)


@pytest.mark.parametrize("name", [*CONTAINERS, "a.gif"])
def test_a_cut_clip_is_never_read(clips: dict[str, Path], tmp_path: Path, name: str) -> None:
    source = clips.get(name) or _gif(tmp_path / "whole.gif", _scene(8), [50] * 8)
    data = source.read_bytes()
    path = tmp_path / name
    size = len(data)
    for length in sorted({size - 1, size - 2, size - 9, *range(1, size, max(1, size // 25))}):
        path.write_bytes(data[:length])
        with pytest.raises(InputError):
            video.read(path, choose=FramePolicy("uniform", count=2), limits=_FEW)


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


def _flip(clips: dict[str, Path], tmp_path: Path, name: str, *, seed: int, rounds: int) -> None:
    source = clips.get(name) or _gif(tmp_path / "whole.gif", _scene(8), [50] * 8)
    data, random = source.read_bytes(), np.random.default_rng(seed)
    path = tmp_path / name
    for round_ in range(rounds):
        damaged = bytearray(data)
        for _ in range(int(random.integers(1, 4))):
            end = len(data) if round_ % 2 else min(len(data), 3000)
            damaged[int(random.integers(0, end))] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            clip = video.read(path, choose=FramePolicy("uniform", count=3), limits=_FEW)
        except InputError:
            continue
        assert clip.frames.dtype == np.uint8
        assert clip.frames.shape[0] == len(clip.indices) == min(3, clip.frame_count)
        assert clip.frames.shape[3] == 3


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
        video.read(path, choose=ALL)


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
        video.read(path, choose=ALL)


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
        video.read(path, choose=ALL)


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
                video.read(tmp_path / name, choose=ALL, limits=_FEW)
            except InputError:
                continue
    assert capfd.readouterr() == ("", "")


# --- real files ----------------------------------------------------------------------------------


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


def _pictures_of_mpeg(data: bytes) -> int:
    """Picture start codes in the video packets of a program stream, put together again."""
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
    picture, count = Image.open(io.BytesIO(data)), 0
    while True:
        try:
            picture.seek(count)
        except EOFError:
            return count
        count += 1


_COUNTED = {
    ".mp4": _samples_of_mp4,
    ".mov": _samples_of_mp4,
    ".avi": _chunks_of_avi,
    ".mpeg": _pictures_of_mpeg,
    ".gif": _frames_of_gif,
}


def test_real_clips_have_the_frames_that_their_containers_list(realdata: Path) -> None:
    seen: dict[str, int] = {}
    for path in sorted((realdata / "ultrasound").rglob("*")):
        kind = path.suffix.lower()
        if kind not in _COUNTED:
            continue
        seen[kind] = seen.get(kind, 0) + 1
        clip = video.read(path, choose=FramePolicy("uniform", count=3))
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
                picture = Image.open(source)
                picture.seek(index)
                np.testing.assert_array_equal(frame, np.asarray(picture.convert("RGB")))
                assert np.abs(frame.astype(int) - expected).mean() < 1
            else:
                np.testing.assert_array_equal(frame, expected)
        assert clip.fps is not None and 5 < clip.fps < 60
        assert clip.duration_s == pytest.approx(clip.frame_count / clip.fps, rel=0.01)
    assert seen == {".mp4": 22, ".avi": 3, ".gif": 2, ".mov": 1, ".mpeg": 1}


def test_real_clips_that_need_a_note(realdata: Path) -> None:
    folder = realdata / "ultrasound/pocus/data/pocus_videos/convex"
    one = FramePolicy("uniform", count=1)
    mpeg = video.read(folder / "Reg_pat1Image_133232.mpeg", choose=one)
    assert mpeg.repairs == (
        "199 frames expected from the header, 200 decode",
        "time stamps missing or running backwards: 1",
    )
    wide = video.read(folder / "Cov_combatting_Image1.mp4", choose=one)
    assert wide.repairs == ("pixels are not square (9:8), shape kept as stored",)


def test_most_damage_in_a_real_clip_is_noticed(realdata: Path, tmp_path: Path) -> None:
    """FFmpeg conceals it; its reports give it away. Frames that pass are those of the whole file
    or a valid stream of other frames, never fewer."""
    folder = realdata / "ultrasound/pocus/data/pocus_videos/convex"
    data = (folder / "Pneu_liftl_pneu_case3_clip3.mp4").read_bytes()
    path = tmp_path / os.fspath("damaged.mp4")
    refused = 0
    for place in range(len(data) // 3, len(data) * 2 // 3, len(data) // 60):
        damaged = bytearray(data)
        damaged[place] ^= 8
        path.write_bytes(damaged)
        try:
            assert video.read(path, choose=ALL).frame_count == 25
        except UnreadableFile:
            refused += 1
    assert refused >= 12
