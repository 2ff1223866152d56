"""Stored values, one frame at a time: which decoder runs, what it must return, why it failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames, get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import JPEGBaseline8Bit, JPEGLSTransferSyntaxes, RLELossless

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.codestream import check_rle, inspect
from qoqdata.readers.dicom.image_pixel import ImagePixel

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


def stored_frames(
    dataset: Dataset, pixel: ImagePixel, frames: Sequence[int]
) -> Iterator[StoredFrame]:
    """Decode the 0-based `frames`, each once, in ascending order.

    Raises UnsupportedFormat when no decoder for the transfer syntax is installed, UnreadableFile
    when the data are damaged; the message names each decoder tried and its reason.
    """
    try:
        decoder = get_decoder(pixel.transfer_syntax)
    except NotImplementedError as error:
        raise UnsupportedFormat(f"no decoder for {pixel.transfer_syntax.name}") from error
    if not decoder.is_available:
        missing = "; ".join(decoder.missing_dependencies)
        raise UnsupportedFormat(
            f"no decoder for {pixel.transfer_syntax.name} is installed",
            fix=f"install one of: {missing}" if missing else None,
        )
    indices = sorted(set(frames))
    if decoder.is_encapsulated:
        yield from _encapsulated(dataset, pixel, decoder, indices)
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


def _encapsulated(
    dataset: Dataset, pixel: ImagePixel, decoder: Decoder, indices: Sequence[int]
) -> Iterator[StoredFrame]:
    with pixel.data.open() as file:
        if pixel.frames == 1:
            yield _decoded(pixel, decoder, 0, file)
            return
        items = _compressed_frames(dataset, pixel, file)
        choice = set(indices)
        for index in range(indices[-1] + 1):
            try:
                frame = next(items, None)
            except Exception as error:
                what = f"the compressed frames cannot be separated: {error}"
                raise UnreadableFile(what) from error
            if not frame:
                raise UnreadableFile(f"frame {index + 1} of {pixel.frames} is missing")
            if index in choice:
                yield _decoded(pixel, decoder, index, BytesIO(encapsulate([frame])))


def _compressed_frames(dataset: Dataset, pixel: ImagePixel, file: BinaryIO) -> Iterator[bytes]:
    offsets = elements.value(dataset, "ExtendedOffsetTable")
    lengths = elements.value(dataset, "ExtendedOffsetTableLengths")
    table = None if offsets is None or lengths is None else (offsets, lengths)
    return generate_frames(file, number_of_frames=pixel.frames, extended_offsets=table)


def _decoded(pixel: ImagePixel, decoder: Decoder, index: int, source: BinaryIO) -> StoredFrame:
    """Decode the only frame in the encapsulated items that begin at the position of `source`."""
    rle = pixel.transfer_syntax == RLELossless
    precision = pixel.bits_stored if rle else _declared_precision(pixel, index, _frame(source))
    reasons, start = [], source.tell()
    order = _ORDER_OF.get(pixel.transfer_syntax, _ORDER)
    for plugin in [name for name in order if name in decoder.available_plugins]:
        source.seek(start)  # a decoder that fails may leave it elsewhere
        try:
            if plugin == "pydicom":
                # Its RLE decoder cuts runs that are too long, which hides damage.
                check_rle(_frame(source), pixel.rows * pixel.columns)
            values, photometric = _pixels(pixel, decoder, source, plugin)
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # panics of the decoder in Rust are not an Exception
            reasons.append(f"{plugin}: {_reason(error)}")
            continue
        if precision > pixel.bits_stored:
            _check_range(pixel, index, values)
        return _checked(pixel, index, values, photometric)
    raise UnreadableFile(f"no decoder can read frame {index + 1} ({'; '.join(reasons)})")


def _frame(source: BinaryIO) -> bytes:
    """The compressed bytes of the only frame in `source`, whose position stays."""
    try:
        return get_frame(source, 0, number_of_frames=1)
    except Exception as error:
        raise UnreadableFile(f"the compressed frames cannot be separated: {error}") from error


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
    }
    if not pixel.floating:
        layout["pixel_representation"] = int(pixel.signed)
    return layout


def _declared_precision(pixel: ImagePixel, index: int, frame: bytes) -> int:
    """Bits per component of a frame whose declared size is that of the header, else an error."""
    codestream = inspect(frame)
    rows, columns, samples = codestream.rows, codestream.columns, codestream.samples
    if (rows, columns, samples) != (pixel.rows, pixel.columns, pixel.samples):
        raise UnreadableFile(
            f"the compressed frame {index + 1} is {rows} x {columns} with {samples} samples, "
            f"the header says {pixel.rows} x {pixel.columns} with {pixel.samples}"
        )
    return codestream.precision


def _check_range(pixel: ImagePixel, index: int, values: NDArray[Any]) -> None:
    """Raise when a codestream of more bits than BitsStored holds values that need them."""
    low = -(2 ** (pixel.bits_stored - 1)) if pixel.signed else 0
    if values.min() < low or values.max() > 2**pixel.bits_stored - 1:
        raise UnreadableFile(
            f"frame {index + 1} holds values that do not fit BitsStored {pixel.bits_stored}"
        )


def _checked(pixel: ImagePixel, index: int, values: NDArray[Any], photometric: str) -> StoredFrame:
    shape = (pixel.rows, pixel.columns) + ((pixel.samples,) if pixel.samples > 1 else ())
    if values.shape != shape:
        raise UnreadableFile(f"frame {index + 1} decodes to {values.shape}, expected {shape}")
    native = values.dtype.newbyteorder("=")
    return StoredFrame(index, np.ascontiguousarray(values, native), photometric)


def _reason(error: BaseException) -> str:
    """What a plugin said, without the list that pydicom puts around it."""
    last = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
    return last.split(": ", 1)[-1][:200]
