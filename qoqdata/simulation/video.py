"""Clips: AVI, MP4 and MOV by OpenCV, GIF by Pillow."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from qoqdata.simulation.mark import MARK, write_bytes

CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".mov": "mp4v"}


def write_video(path: Path, frames: Sequence[np.ndarray], fps: float) -> None:
    """A clip of (rows, columns) or (rows, columns, 3) uint8 frames, all of one size.

    The suffix tells the format: `.avi` (Motion JPEG), `.mp4` and `.mov` (MPEG-4), `.gif`. A GIF's
    comment marks it, an AVI's `INFO` list, and in MP4 and MOV a last box `free`, which players
    skip. Raises ValueError for another suffix and for a size or rate that the codec refuses.
    """
    colour = [np.repeat(f[..., None], 3, axis=2) if f.ndim == 2 else f for f in frames]
    if path.suffix == ".gif":
        write_bytes(path, _gif(colour, fps))
    elif path.suffix in CODECS:
        data = _encoded(colour, fps, path.suffix)
        write_bytes(path, _marked_avi(data) if path.suffix == ".avi" else _marked_mp4(data))
    else:
        raise ValueError(f"{path.name}: known are .gif, {', '.join(CODECS)}")


def _encoded(frames: Sequence[np.ndarray], fps: float, suffix: str) -> bytes:
    import cv2

    rows, columns = frames[0].shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip{suffix}"
        code = cv2.VideoWriter.fourcc(*CODECS[suffix])
        writer = cv2.VideoWriter(str(path), code, fps, (columns, rows))
        if not writer.isOpened():
            raise ValueError(f"no {suffix} of {columns} x {rows} pixels at {fps:g} frames a second")
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
        writer.release()
        return path.read_bytes()


def _gif(frames: Sequence[np.ndarray], fps: float) -> bytes:
    stream = BytesIO()
    first, *rest = [Image.fromarray(frame).quantize(64) for frame in frames]
    delay = round(1000 / fps)
    comment = MARK.encode()
    first.save(
        stream, "GIF", save_all=True, append_images=rest, duration=delay, loop=0, comment=comment
    )
    return stream.getvalue()


def _marked_avi(data: bytes) -> bytes:
    """With a list INFO at the end of the RIFF, whose length is in bytes 4 to 8."""
    text = MARK.encode() + b"\0"
    text += b"\0" * (len(text) % 2)
    comment = b"ICMT" + struct.pack("<I", len(text)) + text
    info = b"LIST" + struct.pack("<I", 4 + len(comment)) + b"INFO" + comment
    return data[:4] + struct.pack("<I", len(data) - 8 + len(info)) + data[8:] + info


def _marked_mp4(data: bytes) -> bytes:
    text = MARK.encode()
    return data + struct.pack(">I", 8 + len(text)) + b"free" + text
