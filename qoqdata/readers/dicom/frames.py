"""Which frames of a file a caller wants."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qoqdata.errors import InputError, UsageError
from qoqdata.readers.dicom.image_pixel import ImagePixel

# Frames by index, or a function that gives them for the number of frames of the file.
FrameChoice = Sequence[int] | Callable[[int], Sequence[int]]


def wanted_frames(frames: FrameChoice | None, pixel: ImagePixel) -> Sequence[int]:
    """0-based frames in the order to return them; None means all.

    Raises InputError for a frame that the file does not have, UsageError for an empty choice.
    """
    if frames is None:
        return range(pixel.frames)
    if callable(frames):
        frames = frames(pixel.frames)
    if len(frames) == 0:
        raise UsageError("no frames were asked for", fix="leave `frames` out to read them all")
    for index in frames:
        if not 0 <= index < pixel.frames:
            raise InputError(f"frame {index} was asked for, the file has 0 to {pixel.frames - 1}")
    return list(frames)


def places(indices: Sequence[int]) -> dict[int, list[int]]:
    """Where each wanted frame goes in the result; a frame may be wanted more than once."""
    places_of: dict[int, list[int]] = {}
    for place, index in enumerate(indices):
        places_of.setdefault(index, []).append(place)
    return places_of
