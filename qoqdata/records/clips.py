"""Images and notes of a video clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qoqdata.readers import video
from qoqdata.records.content import Image
from qoqdata.records.images import image_from_pixels

if TYPE_CHECKING:
    from qoqdata.readers.video import Clip, FramePolicy


def clip_images(clip: Clip, *, view: str | None = None) -> tuple[Image, ...]:
    """One image a chosen frame, in time order, with its index in the clip.

    Frames whose three channels agree everywhere are stored as grey.
    """
    return tuple(
        image_from_pixels(_grey_if_equal(frame), index=index, view=view)
        for frame, index in zip(clip.frames, clip.indices, strict=True)
    )


def clip_notes(clip: Clip, policy: FramePolicy) -> tuple[str, ...]:
    """How the frames were chosen, from how many, at which rate, and what was repaired."""
    rate = "unknown rate" if clip.fps is None else f"{clip.fps:g} frames/s"
    return (f"frames: {video.describe(policy)} of {clip.frame_count} at {rate}", *clip.repairs)


def _grey_if_equal(frame):  # type: ignore[no-untyped-def]
    red, green, blue = frame[..., 0], frame[..., 1], frame[..., 2]
    return red if (red == green).all() and (green == blue).all() else frame
