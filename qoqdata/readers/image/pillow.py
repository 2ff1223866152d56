"""Pillow as a strict decoder: one known format, no size guess, truncated data refused."""

from __future__ import annotations

import io
from collections.abc import Callable

from PIL import Image, ImageFile

from qoqdata.errors import QoqdataError, TooLarge, UnreadableFile, UnsupportedFormat, UsageError
from qoqdata.readers.limits import Limits


def opened(
    plugin: Callable[[io.BytesIO], ImageFile.ImageFile], data: bytes, *, where: str, limits: Limits
) -> ImageFile.ImageFile:
    """The image behind `data`: header parsed, size within `limits`, pixels not yet decoded.

    `plugin` is the format's own class, so no other decoder is tried on the bytes and Pillow's
    process-wide MAX_IMAGE_PIXELS does not decide. Raises UnreadableFile, TooLarge, and UsageError
    if this process told Pillow to accept truncated files.
    """
    if ImageFile.LOAD_TRUNCATED_IMAGES:
        raise UsageError(
            "PIL.ImageFile.LOAD_TRUNCATED_IMAGES is on: cut images would pass as whole",
            fix="leave it False in this process",
        )
    try:
        image = plugin(io.BytesIO(data))
    except Exception as error:
        raise translated(error, where) from error
    limits.check_shape("image_pixels", (image.height, image.width), where=where)
    return image


def loaded(image: Image.Image, where: str) -> Image.Image:
    """The same image with its pixels decoded. Raises UnreadableFile or TooLarge."""
    try:
        image.load()
    except Exception as error:
        raise translated(error, where) from error
    return image


def translated(error: Exception, where: str) -> QoqdataError:
    """Our error for one of Pillow's: its plugins raise OSError, SyntaxError, KeyError and more."""
    if isinstance(error, Image.DecompressionBombError):
        return TooLarge(
            f"Pillow refuses its size: {error}", where=where, fix="raise PIL.Image.MAX_IMAGE_PIXELS"
        )
    text = str(error) or type(error).__name__
    if "unknown pixel mode" in text or "not supported" in text:
        return UnsupportedFormat(f"no decoder here reads this variant: {text}", where=where)
    return UnreadableFile(f"cannot be decoded: {text}", where=where, fix="fetch the file again")
