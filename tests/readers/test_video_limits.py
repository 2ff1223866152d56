"""Clips are held against the limits, and only chosen frames are held in memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from qoqdata.errors import TooLarge
from qoqdata.readers import video
from qoqdata.readers.limits import Limits
from qoqdata.readers.video import FramePolicy
from tests.readers.video_clips import ALL, scene, written_gif


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
    gif = written_gif(tmp_path / "a.gif", scene(20), [100] * 20)
    for path in (clips["a.avi"], clips["a.mp4"], gif):
        with pytest.raises(TooLarge, match=name):
            video.read_video(path, choose=ALL, limits=limits)
    few = FramePolicy("uniform", count=2)
    # Of a GIF all frames are decoded, whichever are chosen: 20 large ones in few bytes.
    with pytest.raises(TooLarge, match="voxels"):
        video.read_video(gif, choose=few, limits=Limits(voxels=64 * 48 * 20 - 1))
    assert video.read_video(gif, choose=few, limits=Limits(voxels=64 * 48 * 20)).frame_count == 20
    assert video.read_video(
        clips["a.avi"], choose=few, limits=Limits(voxels=64 * 48 * 2)
    ).frame_count


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
        "read = lambda: video.read_video(sys.argv[1], choose=video.FramePolicy('uniform', count=4),"
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
