"""Clips of every container: each frame in its place, chosen ones as in the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qoqdata.readers import video
from qoqdata.readers.video import FramePolicy
from qoqdata.readers.video_frames import choose
from tests.readers.video_clips import ALL, CONTAINERS, scene, written_gif


@pytest.mark.parametrize("name", list(CONTAINERS))
def test_every_container(clips: dict[str, Path], name: str) -> None:
    clip = video.read_video(clips[name], choose=ALL)
    assert clip.frame_count == 20
    assert clip.indices == tuple(range(20))
    assert clip.frames.shape == (20, 48, 64, 3)
    assert clip.frames.dtype == np.uint8
    error = np.abs(clip.frames.astype(int) - np.stack(scene(20)))
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
    whole = video.read_video(clips[name], choose=ALL)
    clip = video.read_video(clips[name], choose=policy)
    assert clip.indices == choose(policy, 20)
    np.testing.assert_array_equal(clip.frames, whole.frames[list(clip.indices)])
    assert clip.times_s == tuple(whole.times_s[index] for index in clip.indices)
    again = video.read_video(clips[name], choose=policy)
    np.testing.assert_array_equal(again.frames, clip.frames)


def test_gif(tmp_path: Path) -> None:
    frames = [np.kron(np.eye(6, dtype=np.uint8)[i], np.ones((12, 4), np.uint8)) for i in range(6)]
    frames = [np.dstack([frame * 200, frame * 90, frame * 10]) for frame in frames]
    path = written_gif(tmp_path / "a.gif", frames, [100] * 6)
    clip = video.read_video(path, choose=ALL)
    np.testing.assert_array_equal(clip.frames, np.stack(frames))
    assert (clip.fps, clip.duration_s, clip.repairs) == (10.0, 0.6, ())
    some = video.read_video(path, choose=FramePolicy("uniform", count=2))
    assert some.indices == (1, 4)
    np.testing.assert_array_equal(some.frames, clip.frames[[1, 4]])


def test_gif_delays(tmp_path: Path) -> None:
    clip = video.read_video(written_gif(tmp_path / "a.gif", scene(3), [100, 300, 200]), choose=ALL)
    assert clip.times_s == (0.0, 0.1, 0.4)
    assert (clip.fps, clip.duration_s) == (5.0, 0.6)
    assert clip.repairs == ("variable frame rate: 100 to 300 ms between frames",)
    clip = video.read_video(written_gif(tmp_path / "b.gif", scene(3), [100, 0, 100]), choose=ALL)
    assert (clip.fps, clip.duration_s, clip.times_s) == (None, None, None)
    assert clip.repairs == ("1 of 3 images state no delay",)


def test_transparent_gif_is_noted(tmp_path: Path) -> None:
    frames = []
    for index in range(3):
        image = Image.fromarray(np.full((8, 8), index, np.uint8), mode="P")
        image.putpalette([9, 9, 9, 200, 0, 0, 0, 200, 0])
        image.putpixel((0, 0), 0)
        frames.append(image)
    path = tmp_path / "a.gif"
    frames[1].save(
        path, save_all=True, append_images=frames[2:], transparency=0, disposal=2, duration=50
    )
    clip = video.read_video(path, choose=ALL)
    assert clip.repairs == ("transparency of 2 frames dropped without blending",)
