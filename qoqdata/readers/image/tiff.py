"""TIFF 6.0: one image of unsigned integer samples, grey, RGB or palette."""

from __future__ import annotations

import warnings

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.decoder_log import decoder_log
from qoqdata.readers.image import opencv, pillow
from qoqdata.readers.image.stored_values import StoredValues, opaque_or
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION, _PROFILE, _FORMAT = 258, 259, 262, 274, 34675, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_LOSSLESS = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000})  # 34925 LZMA, 50000 Zstandard


def decode_tiff(data: bytes, *, where: str, limits: Limits = DEFAULT_LIMITS) -> StoredValues:
    """Samples of a single-page TIFF with 1 to 16 bits per sample.

    White-is-zero grey levels come inverted, so that 0 is black as everywhere else. Raises
    UnreadableFile, UnsupportedFormat (several pages, CMYK, Lab, signed, floating point), TooLarge
    (Pillow's own bound of twice PIL.Image.MAX_IMAGE_PIXELS holds as well).
    """
    with decoder_log(), warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow only warns of tags that it cannot read
        image = pillow.opened(TiffImageFile, data, where=where, limits=limits)
        try:
            pages = getattr(image, "n_frames", 1)
            tags = dict(getattr(image, "tag_v2", {}))
        except Exception as error:
            raise pillow.translated(error, where) from error
    if pages != 1:
        raise UnsupportedFormat(
            f"TIFF with {pages} pages, expected one image", where=where, fix="export its pages"
        )
    bits = tags.get(_BITS, (1,))
    photometric = tags.get(_PHOTOMETRIC)
    if set(tags.get(_FORMAT, (1,))) != {1}:
        raise UnsupportedFormat("TIFF with signed or floating-point samples", where=where)
    if len(set(bits)) != 1 or bits[0] > 16 or photometric not in (0, 1, 2, 3, 6):
        raise UnsupportedFormat(
            f"TIFF with {bits} bits per sample, photometric interpretation {photometric}",
            where=where,
        )
    repairs: tuple[str, ...] = () if _PROFILE not in tags else ("colour profile (ICC) not applied",)
    turn = tags.get(_ORIENTATION, 1)
    if turn in range(2, 9):
        repairs += (f"TIFF orientation {turn} applied",)
    elif turn != 1:
        repairs += (f"TIFF orientation {turn} is not defined, ignored",)
    lossy = tags.get(_COMPRESSION, 1) not in _LOSSLESS
    palette, depth = None, bits[0]
    with decoder_log() as log, warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        if depth == 16 and len(bits) > 1:
            values = _decode_16_bit_channels(data, turn, where)
        else:
            image_loaded = pillow.loaded(image, where)
            if photometric == _PALETTE:
                palette = np.array(image_loaded.getpalette("RGB"), np.uint8).reshape(-1, 3)
            values = _array(image_loaded, where)
    if log:
        raise UnreadableFile(f"the decoder reports damage: {log[0]}", where=where)
    return _assemble(values, photometric, depth, palette, lossy, repairs)


def _array(image: Image.Image, where: str) -> np.ndarray:
    if image.mode == "YCbCr":
        image = image.convert("RGB")
    if image.mode not in ("1", "L", "LA", "P", "I;16", "I;16B", "RGB", "RGBA"):
        raise UnsupportedFormat(f"TIFF of Pillow mode {image.mode}", where=where)
    values = np.array(image)
    return values.astype(np.uint8 if values.dtype == np.bool_ else values.dtype.newbyteorder("="))


def _assemble(
    values: np.ndarray,
    photometric: int,
    depth: int,
    palette: np.ndarray | None,
    lossy: bool,
    repairs: tuple[str, ...],
) -> StoredValues:
    """Samples from a decoded array: alpha split off, stretched or white-is-zero levels undone."""
    alpha = None
    if values.ndim == 3 and values.shape[2] in (2, 4):
        alpha = opaque_or(values[..., -1], int(np.iinfo(values.dtype).max))
        values = values[..., 0] if values.shape[2] == 2 else values[..., :3]
    if photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) and 1 < depth < 8:
        values = values // (255 // ((1 << depth) - 1))  # Pillow stretches them to 0 .. 255
    if photometric == _WHITE_IS_ZERO:
        if depth == 16:
            values = np.uint16(65535) - values  # Pillow inverts up to 8 bits only
        repairs += ("white-is-zero grey levels inverted",)
    return StoredValues(
        np.ascontiguousarray(values),
        bits=depth,
        format="TIFF",
        palette=palette,
        alpha=alpha,
        lossy=lossy,
        repairs=repairs,
    )


def _decode_16_bit_channels(data: bytes, turn: int, where: str) -> np.ndarray:
    """(rows, columns, 3 or 4) uint16; Pillow would drop the lower eight bits.

    Turned ones are refused: OpenCV applies some of the eight orientations and not the others.
    """
    if turn in range(2, 9):
        raise UnsupportedFormat(
            f"16-bit colour TIFF with orientation {turn}", where=where, fix="store it upright"
        )
    values, log = opencv.decoded(data)
    if values is None or values.dtype != np.uint16 or values.ndim != 3 or log:
        reason = log[0] if log else "unknown reason"
        raise UnreadableFile(f"16-bit colour TIFF cannot be decoded: {reason}", where=where)
    return values
