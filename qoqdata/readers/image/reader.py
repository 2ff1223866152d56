"""Still images: JPEG, PNG, TIFF, BMP, WebP, GIF with one image, JPEG 2000.

Pixels come out upright, as grey or RGB, with every sample as the file stores it:

- Fewer than 8 bits are stretched to 8 by v * 255 / (2**bits - 1), which is exact; 8 bits stay;
  9 to 16 bits stay as uint16 with their own `bits`.
- A palette is looked up; a palette of greys gives a grey image.
- Exif (or TIFF) orientation is applied.
- Alpha: a fully opaque channel is dropped. Any other is dropped too, without blending, since
  the colour under it is what the file stores and any background would be our invention; the
  number of pixels concerned goes to `repairs`.
- CMYK, Lab, signed and floating-point samples, and files with several images are refused.
- A colour profile is never applied; its presence goes to `repairs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qoqdata.errors import InputError, MissingFile, UnreadableFile, UnsupportedFormat
from qoqdata.readers.image import bmp, gif, jpeg, jpeg2000, png, webp
from qoqdata.readers.image.exif import upright
from qoqdata.readers.image.stored_values import StoredValues
from qoqdata.readers.image.verbatim import Parsed
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.raw_file import read_bounded_file


@dataclass(frozen=True)
class DecodedImage:
    """pixels: uint8 or uint16, (rows, columns) grey or (rows, columns, 3) RGB.

    bits: 8 for uint8, 9 to 16 for uint16; full range is 0 .. 2**bits - 1.
    repairs: what was changed or left aside on the way, for the provenance of the record.
    turn: the Exif orientation from which the pixels were brought upright.
    """

    pixels: np.ndarray
    bits: int
    format: str
    repairs: tuple[str, ...]
    turn: int = 1


def read_image(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> DecodedImage:
    """Read one image file, whatever its name says it is.

    Sizes are checked from the header before anything is decoded. Raises MissingFile,
    UnreadableFile (damaged, truncated, not an image), UnsupportedFormat, TooLarge.
    """
    return image_from_bytes(read_image_bytes(Path(path), limits), where=str(path), limits=limits)


def image_from_bytes(
    file: bytes | Parsed, *, where: str, limits: Limits = DEFAULT_LIMITS
) -> DecodedImage:
    """As `read_image`, for the bytes or the parts of an image file; `where` names it in errors."""
    samples = decode_image(file, where=where, limits=limits)
    pixels, bits, repairs = _shown(samples)
    if samples.orientation != 1:
        pixels = upright(pixels, samples.orientation)
        repairs += (f"Exif orientation {samples.orientation} applied",)
    return DecodedImage(
        pixels, bits, samples.format, samples.repairs + repairs, samples.orientation
    )


def read_stored_values(path: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> StoredValues:
    """As `read_image`, but values as stored, palette and alpha apart, orientation not applied."""
    where = str(path)
    return decode_image(read_image_bytes(Path(path), limits), where=where, limits=limits)


def read_image_bytes(path: Path, limits: Limits) -> bytes:
    """The bytes of a file. Raises MissingFile, UnreadableFile, TooLarge (before reading)."""
    try:
        return read_bounded_file(path, limits, where=str(path))
    except FileNotFoundError as error:
        raise MissingFile("no such file", where=str(path)) from error
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"cannot be read: {error}", where=str(path)) from error


def decode_image(
    file: bytes | Parsed, *, where: str, limits: Limits = DEFAULT_LIMITS
) -> StoredValues:
    """Samples of an encoded image held in memory; the format is told by its first bytes."""
    match file:
        case jpeg.JpegLayout():
            samples = jpeg.decode_layout(file, where=where, limits=limits)
        case png.PngLayout():
            samples = png.decode_chunks(file, where=where, limits=limits)
        case _:
            samples = _decode(file, where, limits)
    if samples.palette is not None and int(samples.values.max()) >= len(samples.palette):
        raise UnreadableFile("uses colours that its palette lacks", where=where)
    return samples


def _decode(data: bytes, where: str, limits: Limits) -> StoredValues:
    if data.startswith(jpeg.MAGIC):
        return jpeg.decode_jpeg(data, where=where, limits=limits)
    if data.startswith(png.MAGIC):
        return png.decode_png(data, where=where, limits=limits)
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        from qoqdata.readers.image import tiff  # the plugin takes 30 ms to import

        return tiff.decode_tiff(data, where=where, limits=limits)
    if data.startswith((jpeg2000.CODESTREAM_MAGIC, jpeg2000.JP2_MAGIC)):
        return jpeg2000.decode_jpeg2000(data, where=where, limits=limits)
    if data.startswith(gif.MAGICS):
        return gif.decode_gif(data, where=where, limits=limits)
    if webp.is_webp(data):
        return webp.decode_webp(data, where=where, limits=limits)
    if data.startswith(bmp.MAGIC):
        return bmp.decode_bmp(data, where=where, limits=limits)
    if data[4:12] in (b"ftypheic", b"ftypheix", b"ftypavif", b"ftypmif1"):
        raise UnsupportedFormat("HEIC or AVIF image", where=where, fix="convert it to PNG")
    raise UnreadableFile(
        f"not an image: it begins with {data[:8]!r}" if data else "file is empty", where=where
    )


def _shown(samples: StoredValues) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """Grey or RGB pixels, their bits, and a note on alpha."""
    values, bits = samples.values, samples.bits
    repairs: tuple[str, ...] = ()
    if samples.palette is not None:
        grey = bool((samples.palette == samples.palette[:, :1]).all())
        values = (samples.palette[:, 0] if grey else samples.palette)[values]
        bits = 8
    elif bits < 8:
        values = values * np.uint8(255 // ((1 << bits) - 1))
        bits = 8
    if samples.alpha is not None:
        full = (1 << bits) - 1 if samples.alpha.dtype == np.uint16 else 255
        count = int((samples.alpha != full).sum())
        repairs = (f"alpha channel dropped without blending, {count} pixels not opaque",)
    return np.ascontiguousarray(values), bits, repairs


def to_uint8(
    pixels: np.ndarray,
    *,
    bits: int | None = None,
    window: tuple[float, float] | None = None,
) -> np.ndarray:
    """8-bit pixels by a stated rule, the same for every image of a source; never min-max.

    bits: full range 0 .. 2**bits - 1 goes to 0 .. 255, rounded to nearest. Raises InputError when
    a value lies above that range, so a 16-bit image declared as 12-bit cannot saturate.
    window: (centre, width) by the linear function of DICOM PS3.3 C.11.2.1.2.1, rounded to nearest,
    exactly as DICOM images are windowed. Raises UsageError for an impossible width.
    uint8 input without either is returned as it is. Raises ValueError for uint16 with neither, for
    both, for other dtypes, and for impossible bits.
    """
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels must be uint8 or uint16, not {pixels.dtype}")
    if bits is not None and window is not None:
        raise ValueError("give bits or window, not both")
    if window is not None:
        from qoqdata.readers.dicom.windowing import Window, grey, window_fraction

        values = np.arange(int(np.iinfo(pixels.dtype).max) + 1)
        table = grey(window_fraction(values, Window(*window)), inverted=False)
        return np.asarray(table[pixels])
    if bits is None:
        if pixels.dtype == np.uint16:
            raise ValueError("uint16 pixels need bits or a window")
        return pixels
    if not 1 <= bits <= 16:
        raise ValueError(f"bits must be 1 to 16, not {bits}")
    full = (1 << bits) - 1
    peak = int(pixels.max(initial=0))
    if peak > full:
        raise InputError(
            f"holds the value {peak}, beyond its declared {bits} bits", fix="correct the bits"
        )
    levels = (np.arange(full + 1, dtype=np.int64) * 510 + full) // (2 * full)
    return np.asarray(levels.astype(np.uint8)[pixels])
