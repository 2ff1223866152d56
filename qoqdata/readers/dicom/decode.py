"""Stored values, one frame at a time: which decoder runs, what it must return, why it failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import JPEGBaseline8Bit, JPEGLSTransferSyntaxes, RLELossless

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.dicom.codestream import (
    Codestream,
    check_rle,
    inspect,
    without_application_data,
)
from qoqdata.readers.dicom.image_pixel import DCT, ImagePixel
from qoqdata.readers.dicom.packages import other_decoder, with_decoder

# The fastest first, where their results are the same: libjpeg-turbo (Pillow) for 8-bit JPEG,
# CharLS (pyjpegls) for JPEG-LS when it is installed, pylibjpeg for all others.
_ORDER = ("pylibjpeg", "pyjpegls", "gdcm", "pillow", "pydicom")
_ORDER_OF = {
    JPEGBaseline8Bit: ("pillow", "pylibjpeg", "gdcm"),
    **dict.fromkeys(JPEGLSTransferSyntaxes, ("pyjpegls", "pylibjpeg", "gdcm")),
}


@dataclass(frozen=True)
class StoredFrame:
    """One decoded frame.

    `values` is (rows, columns) or (rows, columns, samples) in native byte order, of the container
    dtype; bits above BitsStored may hold anything. `photometric` is that of the decoded values:
    JPEG 2000 decoders return RGB for YBR_RCT and YBR_ICT.
    """

    index: int
    values: NDArray[Any]
    photometric: str


def stored_frames(pixel: ImagePixel, frames: Sequence[int]) -> Iterator[StoredFrame]:
    """Decode the 0-based `frames`, each once, in ascending order.

    Raises UnsupportedFormat when no decoder for the transfer syntax is installed, UnreadableFile
    when the data are damaged; the message names each decoder tried and its reason.
    """
    try:
        decoder = get_decoder(pixel.transfer_syntax)
    except NotImplementedError as error:
        raise UnsupportedFormat(
            f"no decoder for {pixel.transfer_syntax.name}", fix=with_decoder(pixel.transfer_syntax)
        ) from error
    if not decoder.is_available:
        raise UnsupportedFormat(
            f"no decoder for {pixel.transfer_syntax.name} is installed",
            fix=with_decoder(pixel.transfer_syntax),
        )
    indices = sorted(set(frames))
    if decoder.is_encapsulated:
        for index in indices:
            yield _decoded(pixel, decoder, index)
    else:
        yield from _native(pixel, decoder, indices)


def _native(pixel: ImagePixel, decoder: Decoder, indices: Sequence[int]) -> Iterator[StoredFrame]:
    expands = pixel.photometric == "YBR_FULL_422"
    with pixel.data.open() as file:
        arrays = decoder.iter_array(
            file,
            indices=indices,
            raw=True,
            pixel_vr=pixel.data.vr,
            view_only=pixel.bits_allocated > 1 and not expands,
            allow_excess_frames=False,
            **_layout(pixel, frames=pixel.frames),
        )
        for index in indices:
            try:
                values, properties = next(arrays)
            except Exception as error:
                raise UnreadableFile(f"frame {index + 1} cannot be laid out: {error}") from error
            yield _checked(pixel, index, values, str(properties["photometric_interpretation"]))


def _decoded(pixel: ImagePixel, decoder: Decoder, index: int) -> StoredFrame:
    """Decode one compressed frame with the first decoder that can."""
    source, stream = _encapsulated(pixel, index)
    with source:
        values, photometric = _first_that_decodes(pixel, decoder, index, source)
    if stream is not None and stream.precision > pixel.bits_stored and not pixel.sign_in_doubt:
        _check_range(pixel, index, values)
    return _checked(pixel, index, values, photometric)


def _first_that_decodes(
    pixel: ImagePixel, decoder: Decoder, index: int, source: BinaryIO
) -> tuple[NDArray[Any], str]:
    """As `_pixels`, of the first plugin that can. Raises UnreadableFile with each one's reason."""
    reasons, start = [], source.tell()
    order = _ORDER_OF.get(pixel.transfer_syntax, _ORDER)
    for plugin in [name for name in order if name in decoder.available_plugins]:
        source.seek(start)  # a decoder that fails may leave it elsewhere
        try:
            if plugin == "pydicom":
                # Its RLE decoder cuts runs that are too long, which hides damage.
                check_rle(get_frame(source, 0, number_of_frames=1), pixel.rows * pixel.columns)
            return _pixels(pixel, decoder, source, plugin)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # panics of the decoder in Rust are not an Exception
            reasons.append(f"{plugin}: {_reason(error)}")
    raise UnreadableFile(
        f"no decoder can read frame {index + 1} ({'; '.join(reasons)})",
        fix=other_decoder(pixel.transfer_syntax, decoder.available_plugins),
    )


def _encapsulated(pixel: ImagePixel, index: int) -> tuple[BinaryIO, Codestream | None]:
    """One compressed frame as the only one of encapsulated data, and what it declares.

    A frame of one fragment that is alone in its file stays there until a decoder reads it.
    """
    frame = pixel.data.joined(pixel.fragments[index])
    rle = pixel.transfer_syntax == RLELossless
    stream = None if rle else _inspected(pixel, index, frame)
    if pixel.transfer_syntax in DCT and pixel.photometric.startswith("YBR"):
        return BytesIO(encapsulate([without_application_data(frame)], has_bot=False)), stream
    if len(pixel.data.fragments) == 1:
        return pixel.data.open(), stream
    return BytesIO(encapsulate([frame], has_bot=False)), stream


def _pixels(
    pixel: ImagePixel, decoder: Decoder, source: BinaryIO, plugin: str
) -> tuple[NDArray[Any], str]:
    """Values and photometric interpretation that a plugin gives for the only frame in `source`."""
    layout = _layout(pixel, frames=1)
    if pixel.transfer_syntax == RLELossless and pixel.samples == 1 and pixel.bits_allocated > 1:
        # The buffer holds the pixels as they are; `as_array` would copy it.
        buffer, _ = decoder.as_buffer(source, index=0, decoding_plugin=plugin, **layout)
        values = np.frombuffer(buffer, f"<{'iu'[not pixel.signed]}{pixel.bits_allocated // 8}")
        return values.reshape(pixel.rows, pixel.columns), pixel.photometric
    values, properties = decoder.as_array(
        source, index=0, raw=True, decoding_plugin=plugin, **layout
    )
    return values, str(properties["photometric_interpretation"])


def _layout(pixel: ImagePixel, *, frames: int) -> dict[str, Any]:
    layout: dict[str, Any] = {
        "number_of_frames": frames,
        "rows": pixel.rows,
        "columns": pixel.columns,
        "samples_per_pixel": pixel.samples,
        "photometric_interpretation": pixel.photometric,
        "bits_allocated": pixel.bits_allocated,
        "bits_stored": pixel.bits_stored,
        "planar_configuration": pixel.planar,
        "pixel_keyword": pixel.keyword,
        "correct_unused_bits": False,
        "apply_j2k_sign_correction": not pixel.sign_in_doubt,
    }
    if not pixel.floating:
        layout["pixel_representation"] = int(pixel.signed)
    return layout


def _inspected(pixel: ImagePixel, index: int, frame: bytes) -> Codestream:
    """What a frame declares. Raises UnreadableFile when it is not what the other frames are."""
    stream = inspect(frame)
    rows, columns, samples = stream.rows, stream.columns, stream.samples
    if (rows, columns, samples) != (pixel.rows, pixel.columns, pixel.samples):
        raise UnreadableFile(
            f"the compressed frame {index + 1} is {rows} x {columns} with {samples} samples, "
            f"the header says {pixel.rows} x {pixel.columns} with {pixel.samples}"
        )
    if stream.precision > pixel.word_bits:
        raise UnreadableFile(
            f"the compressed frame {index + 1} has {stream.precision} bits per sample, "
            f"BitsAllocated is {pixel.bits_allocated}"
        )
    differs = stream.signed is not None and stream.signed != pixel.signed
    if samples == 1 and differs and not pixel.sign_in_doubt:
        raise UnreadableFile(f"frame {index + 1} differs in sign from the first")
    colour = stream.colour if pixel.transfer_syntax in DCT else None
    if colour is not None and colour[:3] != pixel.photometric[:3]:
        raise UnreadableFile(
            f"the compressed frame {index + 1} is {colour}, the image is {pixel.photometric}"
        )
    return stream


def _check_range(pixel: ImagePixel, index: int, values: NDArray[Any]) -> None:
    """Raise when a codestream of more bits than BitsStored holds values that need them."""
    low = -(2 ** (pixel.bits_stored - 1)) if pixel.signed else 0
    # Codecs without a sign return negative values as large ones.
    if values.min() < low or values.max() > 2**pixel.bits_stored - 1:
        raise UnreadableFile(
            f"frame {index + 1} holds values that do not fit BitsStored {pixel.bits_stored}"
        )


def _checked(pixel: ImagePixel, index: int, values: NDArray[Any], photometric: str) -> StoredFrame:
    shape = (pixel.rows, pixel.columns) + ((pixel.samples,) if pixel.samples > 1 else ())
    if values.shape != shape:
        raise UnreadableFile(f"frame {index + 1} decodes to {values.shape}, expected {shape}")
    kind = values.dtype.kind
    native = np.dtype(f"{kind}{pixel.word_bits // 8}")  # decoders use the codestream's precision
    return StoredFrame(index, np.ascontiguousarray(values, native), photometric)


def _reason(error: BaseException) -> str:
    """What a plugin said, without the list that pydicom puts around it."""
    last = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
    return last.split(": ", 1)[-1][:200]
