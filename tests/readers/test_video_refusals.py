"""What is not a clip is refused: playlists, addresses, folders, containers without frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from qoqdata.errors import MissingFile, UnreadableFile, UsageError
from qoqdata.readers import video
from tests.readers.video_clips import ALL


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
        video.read_video(path, choose=ALL)


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
            video.read_video(path, choose=ALL)


@pytest.mark.parametrize("name", ["http://127.0.0.1:9/a.mp4", "concat:a.mp4|b.mp4", "-i", "pipe:0"])
def test_names_are_never_addresses(name: str) -> None:
    with pytest.raises(MissingFile):
        video.read_video(name, choose=ALL)


def test_a_name_with_a_pattern_or_protocol_is_a_name(
    clips: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "file:img_%03d.avi"
    path.write_bytes(clips["a.avi"].read_bytes())
    assert video.read_video(path, choose=ALL).frame_count == 20


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        video.read_video(tmp_path, choose=ALL)


def test_a_container_without_frames(clips: dict[str, Path], tmp_path: Path) -> None:
    data = clips["a.mp4"].read_bytes()
    path = tmp_path / "empty.mp4"
    path.write_bytes(data[: data.index(b"mdat") - 4])
    with pytest.raises(UnreadableFile):
        video.read_video(path, choose=ALL)
    gif = tmp_path / "empty.gif"
    gif.write_bytes(b"GIF89a\x04\0\x04\0\0\0\0;")
    with pytest.raises(UnreadableFile, match="no frame"):
        video.read_video(gif, choose=ALL)


def test_silenced_ffmpeg_is_refused(
    clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with pytest.raises(UsageError, match="OPENCV_FFMPEG_LOGLEVEL"):
        video.read_video(clips["a.mp4"], choose=ALL)
