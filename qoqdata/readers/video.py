"""Clips: AVI, MP4, MOV, MPEG, WMV and WebM through FFmpeg (in OpenCV), GIF through Pillow.

Stated frame counts and rates are not believed: every frame is decoded once and counted, in one
thread, so that the result is the same everywhere. Only the chosen frames are kept in memory. A
clip whose decoder reports damage is refused, because FFmpeg patches damaged frames from their
neighbours. (FFmpeg notices roughly two of three flipped bits; the others leave a valid stream.)
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from qoqdata.errors import MissingFile, UnreadableFile, UsageError
from qoqdata.readers import video_container, video_frames
from qoqdata.readers.decoder_log import decoder_log
from qoqdata.readers.image import gif, pillow
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.raw_file import open_raw_file
from qoqdata.readers.video_frames import FramePolicy, describe
from qoqdata.readers.video_timing import Timing, from_delays, from_stamps

__all__ = ["Clip", "FramePolicy", "describe", "read_video"]

_HEAD_BYTES = 400
_ATTEMPTS_AFTER_THE_LAST_FRAME = 16


@dataclass(frozen=True)
class Clip:
    """frames: uint8 RGB, (chosen frames, rows, columns, 3), in time order; indices: their places
    among the `frame_count` frames of the file; fps: frames per second, the mean when it varies;
    duration_s: seconds to the end of the last frame; times_s: start of each chosen frame in
    seconds. fps, duration_s and times_s are None where the file gives no way to tell.
    """

    frames: np.ndarray
    indices: tuple[int, ...]
    frame_count: int
    fps: float | None
    duration_s: float | None
    repairs: tuple[str, ...]
    times_s: tuple[float, ...] | None


def read_video(path: str | Path, *, choose: FramePolicy, limits: Limits = DEFAULT_LIMITS) -> Clip:
    """Read the chosen frames of one clip file, told by its content whatever its name.

    Rotation from the header is applied; frames with non-square pixels keep their stored shape; both
    are noted in `repairs`, as are frame counts and rates that the header gets wrong. Raises
    MissingFile, UnreadableFile (damaged, truncated, no frame, not a video), TooLarge (file bytes,
    pixels of a frame, frames, or `voxels` over all chosen frames, of a GIF over all), InputError
    (no such frame).
    """
    where = str(path)
    try:
        with open_raw_file(Path(path), limits=limits) as file:
            size = file.seek(0, io.SEEK_END)
            limits.check("file_bytes", size, where=where)
            file.seek(0)
            kind = video_container.identify(file.read(_HEAD_BYTES), where)
            video_container.check_whole(file, size, kind, where)
            if kind == "gif":
                file.seek(0)
                return _read_gif(file.read(), choose, limits, where)
            return _read_stream(file, choose, limits, where)
    except FileNotFoundError as error:
        raise MissingFile("no such file", where=where) from error
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error}", where=where) from error


class _Source(io.BufferedIOBase):
    """A file as OpenCV's callbacks need it: a Python exception in them crashes the process.

    Damaged files make FFmpeg seek to impossible places; the answer is -1, its sign of failure.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failure: OSError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return self._file.read(-1 if size is None else size)
        except OSError as error:
            self.failure = error
            return b""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -1


@dataclass
class _Pass:
    """What one decoding of the whole stream gave."""

    frames: dict[int, np.ndarray]
    stamps_ms: list[float]
    header_count: int
    fps: float
    repairs: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.stamps_ms)


def _read_stream(file: BinaryIO, policy: FramePolicy, limits: Limits, where: str) -> Clip:
    first = _decode(file, lambda count: _planned(policy, count), limits, where)
    if first.count == 0:
        raise UnreadableFile("no frame can be decoded", where=where)
    indices = video_frames.choose(policy, first.count)
    frames = first.frames
    if not set(indices) <= set(frames):
        # The stated count was wrong, and with it the places chosen from it.
        second = _decode(file, lambda _: set(indices).__contains__, limits, where)
        if second.count != first.count:
            raise UnreadableFile("two decodings give different frame counts", where=where)
        frames = second.frames
    repairs = first.repairs
    if 0 < first.header_count != first.count:
        repairs += (f"{first.header_count} frames expected from the header, {first.count} decode",)
    timing = from_stamps(first.stamps_ms, first.fps)
    return _clip([frames[index] for index in indices], indices, first.count, timing, repairs)


def _planned(policy: FramePolicy, count: int) -> Callable[[int], bool]:
    """Which frames to keep on the first pass, if the stated count is right."""
    if policy.kind == "uniform":
        return set(video_frames.choose(policy, max(count, 0))).__contains__
    if policy.kind == "index":
        return set(policy.indices).__contains__
    step = policy.step if policy.kind == "every" else 1
    return lambda index: index % step == 0


def _decode(
    file: BinaryIO,
    plan: Callable[[int], Callable[[int], bool]],
    limits: Limits,
    where: str,
) -> _Pass:
    """Decode the stream from its start to its end, keeping the frames that `plan` wants.

    `plan` gets the stated frame count.
    """
    import cv2

    for name in ("OPENCV_FFMPEG_LOGLEVEL", "OPENCV_FFMPEG_DEBUG"):
        if name in os.environ:
            raise UsageError(
                f"{name} is set, which takes FFmpeg's reports of damaged frames off standard error",
                fix="unset it",
            )
    file.seek(0)
    source = _Source(file)  # has to outlive the capture, which holds no reference to it
    with decoder_log() as log:
        capture = None
        try:
            settings = [cv2.CAP_PROP_N_THREADS, 1]
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, settings)  # type: ignore[call-overload]
            result = _grab_all(capture, plan, limits, where) if capture.isOpened() else None
        except cv2.error as error:
            raise UnreadableFile(f"video cannot be decoded: {error.err}", where=where) from error
        finally:
            if capture is not None:
                capture.release()
    if source.failure is not None:
        raise source.failure
    if result is None:
        reason = log[0] if log else "damaged, or its codec is unknown here"
        raise UnreadableFile(f"video cannot be opened: {reason}", where=where)
    if log:
        raise UnreadableFile(
            f"the decoder reports damage ({len(log)} messages, first: {log[0]})",
            where=where,
            fix="fetch the file again, or re-encode it after looking at it",
        )
    return result


def _grab_all(
    capture: Any, plan: Callable[[int], Callable[[int], bool]], limits: Limits, where: str
) -> _Pass:
    import cv2

    rows, columns = (
        int(capture.get(name)) for name in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
    )
    limits.check_shape("image_pixels", (rows, columns), where=where)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    result = _Pass(
        {},
        [],
        int(capture.get(cv2.CAP_PROP_FRAME_COUNT)),
        capture.get(cv2.CAP_PROP_FPS),
        _geometry_notes(capture),
    )
    keep = plan(result.header_count)
    while _grab(capture, result.count, where):
        index = result.count
        result.stamps_ms.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        limits.check("frames", result.count, where=where)
        if keep(index):
            limits.check("voxels", (len(result.frames) + 1) * rows * columns, where=where)
            success, frame = capture.retrieve()
            if not success or frame.shape != (rows, columns, 3) or frame.dtype != np.uint8:
                raise UnreadableFile(f"frame {index} is not like the others", where=where)
            result.frames[index] = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    return result


def _grab(capture: Any, index: int, where: str) -> bool:
    """Decode the next frame; False at the end.

    OpenCV also says False for a frame that fails in the middle, so ask again: at the end it stays.
    """
    if capture.grab():
        return True
    if any(capture.grab() for _ in range(_ATTEMPTS_AFTER_THE_LAST_FRAME)):
        raise UnreadableFile(f"frame {index} cannot be decoded", where=where)
    return False


def _geometry_notes(capture: Any) -> tuple[str, ...]:
    import cv2

    notes = []
    if turn := int(capture.get(cv2.CAP_PROP_ORIENTATION_META)):
        notes.append(f"rotation of {turn} degrees stated in the header applied")
    wide, high = (int(capture.get(p)) for p in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN))
    if wide > 0 and wide != high:
        notes.append(f"pixels are not square ({wide}:{high}), shape kept as stored")
    return tuple(notes)


def _read_gif(data: bytes, policy: FramePolicy, limits: Limits, where: str) -> Clip:
    from PIL.GifImagePlugin import GifImageFile

    blocks = gif.layout(data, where)
    count = len(blocks.delays)
    limits.check_shape("image_pixels", (blocks.rows, blocks.columns), where=where)
    limits.check("frames", count, where=where)
    if count == 0:
        raise UnreadableFile("no frame can be decoded", where=where)
    indices = video_frames.choose(policy, count)
    # All are decoded, whichever are chosen: a few kilobytes can hold thousands of large frames.
    limits.check("voxels", count * blocks.rows * blocks.columns, where=where)
    image = pillow.opened(GifImageFile, data, where=where, limits=limits)
    choice, frames, transparent = set(indices), [], 0
    for index in range(count):
        try:
            image.seek(index)
            image.load()
        except Exception as error:
            raise pillow.translated(error, where) from error
        if index in choice:
            frame = np.array(image.convert("RGBA"))
            transparent += bool((frame[..., 3] != 255).any())
            frames.append(np.ascontiguousarray(frame[..., :3]))
    repairs: tuple[str, ...] = ()
    if transparent:
        repairs = (f"transparency of {transparent} frames dropped without blending",)
    return _clip(frames, indices, count, from_delays(blocks.delays), repairs)


def _clip(
    frames: list[np.ndarray],
    indices: tuple[int, ...],
    count: int,
    timing: Timing,
    repairs: tuple[str, ...],
) -> Clip:
    starts = timing.starts_s
    return Clip(
        np.stack(frames),
        indices,
        count,
        timing.fps,
        timing.duration_s,
        repairs + timing.repairs,
        None if starts is None else tuple(starts[index] for index in indices),
    )
