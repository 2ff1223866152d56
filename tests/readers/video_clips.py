"""Small clips written by OpenCV and by Pillow, shared by the video tests."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from qoqdata.readers.video import FramePolicy

ALL = FramePolicy("all")
CONTAINERS = {
    "a.avi": "MJPG",
    "b.avi": "XVID",
    "a.mp4": "mp4v",
    "a.mov": "mp4v",
    "a.wmv": "WMV2",
    "a.webm": "VP80",
    "a.mpg": "PIM1",
    "a.ts": "PIM1",
}


def scene(count: int) -> list[np.ndarray]:
    """RGB frames of 48 x 64: brightness counts the frames, a red square moves to the right."""
    frames = []
    for index in range(count):
        frame = np.full((48, 64, 3), 6 * index + 10, np.uint8)
        frame[8:24, index : index + 16] = (220, 30, 40)
        frames.append(frame)
    return frames


def written_clip(path: Path, code: str) -> Path:
    """20 frames of `scene` encoded by OpenCV with the codec `code`, 12.5 or 25 a second."""
    fps = 25 if code == "PIM1" else 12.5  # MPEG-1 knows a few rates only
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), fps, (64, 48))
    for frame in scene(20):
        writer.write(frame[..., ::-1])
    writer.release()
    return path


def written_gif(path: Path, frames: list[np.ndarray], delays: list[int]) -> Path:
    """A GIF of RGB frames, each quantised to 32 colours; delays in milliseconds."""
    images = [Image.fromarray(frame).quantize(32) for frame in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=delays)
    return path
