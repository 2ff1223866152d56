"""Images and regions for records, from pixels, image files and clips."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qoqdata.errors import Misaligned, UnsupportedFormat
from qoqdata.readers import video
from qoqdata.readers.image import reader, verbatim
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.records.content import Image, Region

if TYPE_CHECKING:
    from qoqdata.readers.masks import LabelBox, LabelMap
    from qoqdata.readers.video import Clip, FramePolicy


def image_from_file(
    path: Path,
    *,
    bits: int | None = None,
    window: tuple[float, float] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Image, tuple[str, ...]]:
    """The image of an image file and the notes to record.

    8-bit upright JPEG and PNG also give their encoded pixels, without metadata segments. More than
    8 bits need `bits` (the stored depth, 10 to 16) or a `window` (centre, width); without either
    the full range of the file's depth is mapped.
    Raises the errors of `reader.read_image`, and UnsupportedFormat for pixels that leave the upper
    two bits or more of the file's depth empty, where neither is given: 12 bits in a 16-bit file
    would be all but black.
    """
    data = reader.read_image_bytes(path, limits)
    file = verbatim.parsed(data, str(path)) or data
    raw_image = reader.image_from_bytes(file, where=str(path), limits=limits)
    if bits is None and window is None and verbatim.storable(file):
        bare, removals = verbatim.strip(file)
        return Image(raw_image.pixels, bare), raw_image.repairs + removals
    pixels, notes = raw_image.pixels, raw_image.repairs
    turn = raw_image.turn
    if pixels.dtype != np.uint8 or window is not None:
        if bits is None and window is None:
            _refuse_empty_bits(pixels, raw_image.bits, where=str(path))
        bits = bits if window else bits or raw_image.bits
        pixels = reader.to_uint8(pixels, bits=bits, window=window)
        how = f"window {window[0]:g}/{window[1]:g}" if window else f"{bits} bits"
        notes = (*notes, f"reduced to 8 bits: {how}")
    return Image(pixels, turn=turn), notes


def check_mask(mask: LabelMap, image: Image, *, where: str) -> None:
    """Raise Misaligned unless the mask has the pixels of the image and lies as it does.

    Of an image that Exif turns, and of a mask that says nothing of it, only the shape can tell
    whether it was drawn on the turned image or on the stored one: programs do either.
    """
    shape = (image.height, image.width)
    if mask.codes.shape != shape:
        fix = "bring the mask to the pixels of its image, by nearest neighbour"
        raise Misaligned(f"mask {mask.codes.shape}, image {shape}", where=where, fix=fix)
    if mask.turn != image.turn and (shape[0] == shape[1] or (image.turn < 5) == (mask.turn < 5)):
        raise _two_ways("mask", image, where)


def check_boxes(image: Image, *, where: str) -> None:
    """Raise Misaligned where boxes of a table may lie on the stored or on the upright image."""
    if image.turn > 1:
        raise _two_ways("box", image, where)


def _two_ways(drawn: str, image: Image, where: str) -> Misaligned:
    what = (
        f"Exif turns the image (orientation {image.turn}), and the {drawn} may be drawn on either"
    )
    return Misaligned(what, where=where, fix="store the image upright, as it was drawn on")


def _refuse_empty_bits(pixels: np.ndarray, bits: int, *, where: str) -> None:
    peak = int(pixels.max())
    if 0 < peak < 1 << (bits - 2):
        what = f"its highest value is {peak} of {(1 << bits) - 1}, the bits in use are not said"
        fix = f"state them in the mapping, such as `bits: {max(peak.bit_length(), 8)}`"
        raise UnsupportedFormat(what, where=where, fix=f"{fix}, or {bits} if it is that dark")


def clip_images(clip: Clip, *, view: str | None = None) -> tuple[Image, ...]:
    """One image a chosen frame, in time order, with its index in the clip.

    Frames whose three channels agree everywhere are stored as grey.
    """
    return tuple(
        Image(_grey_if_equal(frame), index=index, view=view)
        for frame, index in zip(clip.frames, clip.indices, strict=True)
    )


def clip_notes(clip: Clip, policy: FramePolicy) -> tuple[str, ...]:
    """How the frames were chosen, from how many, at which rate, and what was repaired."""
    rate = "unknown rate" if clip.fps is None else f"{clip.fps:g} frames/s"
    return (f"frames: {video.describe(policy)} of {clip.frame_count} at {rate}", *clip.repairs)


def regions_from_boxes(
    boxes: Iterable[LabelBox], *, image: int, reader: str | None = None
) -> tuple[Region, ...]:
    """Regions of image `image` from the boxes of its mask."""
    return tuple(
        Region(box.label, image, box.x_min, box.y_min, box.x_max, box.y_max, box.area, reader)
        for box in boxes
    )


def _grey_if_equal(frame: np.ndarray) -> np.ndarray:
    red, green, blue = frame[..., 0], frame[..., 1], frame[..., 2]
    return red if (red == green).all() and (green == blue).all() else frame
