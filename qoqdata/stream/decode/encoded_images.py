"""Encoded images of records as arrays.

Records hold only what `qoqdata.readers.image.verbatim.storable` admits (8-bit grey or RGB, JPEG or
PNG, upright), and masks are grey PNG of 8 or 16 bits; anything else is refused. Every marker
segment, scan list and checksum is verified before a pixel is decoded. A changed bit inside the
compressed scan of a JPEG often decodes without complaint, here as in any decoder: that is what the
digests of the shards are for. `strict` also refuses whatever libjpeg warns of, one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qoqdata.errors import (
    InputError,
    Misaligned,
    MissingFile,
    UnreadableFile,
    UnsupportedFormat,
)
from qoqdata.readers.image import jpeg, opencv, png
from qoqdata.readers.limits import Limits
from qoqdata.stream.decode.budget import Size

_PROCESSES = (0, 1, 2)  # baseline, extended and progressive with Huffman coding (T.81 table B.1)
_SMALLEST = 12


@dataclass(frozen=True, slots=True)
class Encoded:
    """An image whose structure is whole: bytes without metadata, and what its header states."""

    data: bytes
    format: str
    width: int
    height: int
    channels: int
    bits: int

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return self.width, self.height


def encoded_bytes(value: object, where: str) -> bytes:
    """The bytes of one entry of `images` or `masks`.

    value: bytes-like (bytes, bytearray, memoryview, Arrow buffer), or the struct {"bytes", "path"}
    that Parquet and Hugging Face datasets give. Raises MissingFile when it holds no bytes.
    """
    if isinstance(value, dict):
        value = value.get("bytes")
    if isinstance(value, bytes):
        return value
    if value is None:
        raise MissingFile("image is not stored in the record", where=where)
    try:
        return bytes(memoryview(value))  # type: ignore[arg-type]
    except TypeError as error:
        raise UnreadableFile(f"{type(value).__name__} is no encoded image", where=where) from error


def opened(data: bytes, *, where: str, limits: Limits) -> Encoded:
    """Check the structure of an encoded image without decoding it.

    Raises UnreadableFile (cut, damaged, no image), UnsupportedFormat (nothing that a record may
    hold), TooLarge (from the header).
    """
    if data.startswith(jpeg.MAGIC):
        return _jpeg(data, where, limits)
    if data.startswith(png.MAGIC):
        return _png(data, where, limits)
    if len(data) < _SMALLEST:
        raise UnreadableFile("file is empty" if not data else "not an image", where=where)
    raise UnsupportedFormat(
        f"neither JPEG nor PNG: it begins with {data[:8]!r}",
        where=where,
        fix="records hold JPEG and PNG only; build the source again",
    )


def mask_canvases(
    masks: Sequence[Encoded] | None, info: Sequence[Mapping[str, Any]] | None, where: str
) -> list[tuple[int, Size]] | None:
    """The image of every mask, as `mask_info` says, and its (width, height).

    Without `mask_info` there is one mask an image, in order. None when no column tells. Raises
    Misaligned where the columns disagree.
    """
    if info is None:
        return None if masks is None else [(n, mask.size) for n, mask in enumerate(masks)]
    canvases = [(int(one["image"]), (int(one["width"]), int(one["height"]))) for one in info]
    if masks is not None and len(masks) != len(info):
        raise Misaligned(f"{len(info)} for {len(masks)} masks", where=f"{where}mask_info")
    for number, (mask, (_, size)) in enumerate(zip(masks or (), canvases, strict=False)):
        if mask.size != size:
            what = f"mask is {mask.size}, mask_info says {size}"
            raise Misaligned(what, where=f"{where}masks[{number}]")
    return canvases


def stored_sizes(
    images: Sequence[Encoded] | None,
    info: Sequence[Mapping[str, Any]] | None,
    canvases: Sequence[tuple[int, Size]] | None,
    where: str,
) -> list[Size] | None:
    """(width, height) of every stored image or, where there is none, of what the masks lie on.

    `canvases` are those of `mask_canvases`. None when no column tells. Raises Misaligned where
    columns disagree.
    """
    sizes = None if info is None else _sizes_of_info(info, f"{where}image_info")
    if images is not None:
        if sizes is not None and len(sizes) != len(images):
            what = f"{len(sizes)} for {len(images)} images"
            raise Misaligned(what, where=f"{where}image_info")
        for index, (image, size) in enumerate(zip(images, sizes or (), strict=False)):
            if size != image.size:
                what = f"image is {image.size}, image_info says {size}"
                raise Misaligned(what, where=f"{where}images[{index}]")
        sizes = [image.size for image in images]
    if sizes is None:
        by_image = dict(canvases or ())
        if sorted(by_image) != list(range(len(by_image))):
            what = f"masks of images {sorted(by_image)}, and there is no image"
            raise Misaligned(what, where=f"{where}masks")
        sizes = [by_image[number] for number in sorted(by_image)]
    for number, (owner, size) in enumerate(canvases or ()):
        if not 0 <= owner < len(sizes) or sizes[owner] != size:
            what = f"mask is {size} on image {owner} of {sizes}"
            raise Misaligned(what, where=f"{where}masks[{number}]")
    return sizes if canvases is not None or images is not None or info is not None else None


def pixels(image: Encoded, *, where: str, strict: bool = False, reduction: int = 1) -> np.ndarray:
    """uint8 (rows, columns) grey or (rows, columns, 3) RGB, sides divided by `reduction`.

    Raises UnreadableFile for damage, UnsupportedFormat for 16 bits.
    """
    if image.bits != 8:
        raise UnsupportedFormat(f"image with {image.bits} bits per sample", where=where)
    return _decoded(image, where, strict, reduction)


def reduction(image: Encoded, size: tuple[int, int]) -> int:
    """How far libjpeg may shrink a JPEG while decoding it, before `size` (width, height) is made.

    The largest of 8, 4, 2 and 1 that divides both sides exactly, so that corners stay where they
    are, and leaves them no shorter than shown. The scaled inverse transform drops the frequencies
    that averaging would remove.
    """
    if image.format != "JPEG":
        return 1
    sides = ((image.width, size[0]), (image.height, size[1]))
    for by in (8, 4, 2):
        if all(length % by == 0 and length >= by * side for length, side in sides):
            return by
    return 1


def codes(mask: Encoded, *, where: str) -> np.ndarray:
    """The label map of a mask, uint8 or uint16 (rows, columns), codes as stored.

    Raises UnsupportedFormat unless it is a grey PNG, UnreadableFile for damage.
    """
    if mask.format != "PNG" or mask.channels != 1:
        raise UnsupportedFormat("a mask must be a grey PNG", where=where)
    return _decoded(mask, where, strict=False, reduction=1)


def _decoded(image: Encoded, where: str, strict: bool, reduction: int) -> np.ndarray:
    import cv2

    shape: tuple[int, ...] = (image.height // reduction, image.width // reduction)
    if image.channels == 3:
        shape += (3,)
    values: np.ndarray | None
    reason = ""
    if strict and image.format == "JPEG":
        values, log = opencv.decoded(image.data)
        if log:
            raise UnreadableFile(f"JPEG is damaged: {log[0]}", where=where)
    else:
        flags = cv2.IMREAD_COLOR_RGB if image.channels == 3 else cv2.IMREAD_UNCHANGED
        if reduction > 1:
            # The grey flags carry the factor alone; with the RGB flag they give RGB.
            grey_flags = {
                2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
                4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
                8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
            }
            flags = grey_flags[reduction] | (flags if image.channels == 3 else 0)
        try:
            values = cv2.imdecode(np.frombuffer(image.data, np.uint8), flags)
        except cv2.error as error:
            values, reason = None, f": {error.err}"
    if values is None or values.shape != shape or values.dtype.itemsize * 8 != image.bits:
        raise UnreadableFile(f"{image.format} cannot be decoded{reason}", where=where)
    return values


def _jpeg(data: bytes, where: str, limits: Limits) -> Encoded:
    structure = jpeg.layout(data, where)
    frame = jpeg.frame(structure, where)
    limits.check_shape("image_pixels", (frame.rows, frame.columns), where=where)
    channels = len(frame.components)
    if frame.process not in _PROCESSES or frame.bits != 8 or channels not in (1, 3):
        raise UnsupportedFormat(
            f"JPEG process {frame.process}, {frame.bits} bits, {channels} components", where=where
        )
    _check_upright(structure.orientation[0], where)
    jpeg.check_scans(structure, where)
    return Encoded(structure.bare, "JPEG", frame.columns, frame.rows, channels, 8)


def _png(data: bytes, where: str, limits: Limits) -> Encoded:
    chunks, trailing = png.chunks(data, where)
    header = png.header(chunks, where)
    limits.check_shape("image_pixels", (header.rows, header.columns), where=where)
    kinds = {chunk.kind for chunk in chunks}
    grey = header.colour == png.GREY
    storable = (grey and header.depth in (8, 16)) or (
        header.colour == png.RGB and header.depth == 8
    )
    if not storable or kinds & {b"tRNS", b"acTL"}:
        raise UnsupportedFormat(
            f"PNG of colour type {header.colour} with {header.depth} bits, chunks {sorted(kinds)}",
            where=where,
        )
    if b"IDAT" not in kinds:
        raise UnreadableFile("PNG holds no pixel data", where=where)
    _check_upright(png.orientation(chunks)[0], where)
    if trailing or not kinds <= set(png.NEEDED):
        data = png.bare(chunks)
    channels = 1 if grey else 3
    return Encoded(data, "PNG", header.columns, header.rows, channels, header.depth)


def _check_upright(orientation: int, where: str) -> None:
    if orientation != 1:
        raise UnsupportedFormat(
            f"Exif orientation {orientation} turns the image; records hold upright ones",
            where=where,
            fix="build the source again",
        )


def _sizes_of_info(info: Sequence[Mapping[str, Any] | None], where: str) -> list[Size] | None:
    """Sizes from `image_info`; None when they were not among the members read."""
    sizes = []
    for index, facts in enumerate(info):
        if facts is not None and not {"width", "height"} <= facts.keys():
            return None
        width, height = (facts["width"], facts["height"]) if facts else (None, None)
        if not width or not height or min(width, height) < 1:
            raise InputError(f"states a size of {width} x {height}", where=f"{where}[{index}]")
        sizes.append((width, height))
    return sizes
