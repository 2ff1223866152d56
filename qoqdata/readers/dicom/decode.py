"""Stored values, one frame at a time: which decoder runs, what it must return, why it failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import get_decoder
from pydicom.pixels.decoders.base import Decoder
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
    values: NDArray
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
    wanted = sorted(set(frames))
    if decoder.is_encapsulated:
        yield from _encapsulated(dataset, pixel, decoder, wanted)
    else:
        yield from _native(dataset, pixel, decoder, wanted)


def _native(
    dataset: Dataset, pixel: ImagePixel, decoder: Decoder, wanted: Sequence[int]
) -> Iterator[StoredFrame]:
    expanded = pixel.photometric == "YBR_FULL_422"
    decoded = decoder.iter_array(
        elements.value(dataset, pixel.keyword),
        indices=wanted,
        raw=True,
        pixel_vr=dataset[pixel.keyword].VR,
        view_only=pixel.bits_allocated > 1 and not expanded,
        allow_excess_frames=False,
        **_layout(pixel, frames=pixel.frames),
    )
    for index in wanted:
        try:
            values, properties = next(decoded)
        except Exception as error:
            raise UnreadableFile(f"frame {index + 1} cannot be laid out: {error}") from error
        yield _checked(pixel, index, values, str(properties["photometric_interpretation"]))


def _encapsulated(
    dataset: Dataset, pixel: ImagePixel, decoder: Decoder, wanted: Sequence[int]
) -> Iterator[StoredFrame]:
    compressed = _compressed_frames(dataset, pixel)
    chosen = set(wanted)
    for index in range(wanted[-1] + 1):
        try:
            frame = next(compressed, None)
        except Exception as error:
            raise UnreadableFile(f"the compressed frames cannot be separated: {error}") from error
        if not frame:
            raise UnreadableFile(f"frame {index + 1} of {pixel.frames} is missing")
        if index in chosen:
            yield _decoded(pixel, decoder, index, frame)


def _compressed_frames(dataset: Dataset, pixel: ImagePixel) -> Iterator[bytes]:
    data = elements.value(dataset, pixel.keyword)
    offsets = elements.value(dataset, "ExtendedOffsetTable")
    lengths = elements.value(dataset, "ExtendedOffsetTableLengths")
    extended = None if offsets is None or lengths is None else (offsets, lengths)
    return generate_frames(data, number_of_frames=pixel.frames, extended_offsets=extended)


def _decoded(pixel: ImagePixel, decoder: Decoder, index: int, frame: bytes) -> StoredFrame:
    precision = _check_codestream(pixel, index, frame)
    reasons = []
    order = _ORDER_OF.get(pixel.transfer_syntax, _ORDER)
    for plugin in [name for name in order if name in decoder.available_plugins]:
        try:
            if plugin == "pydicom":
                # Its RLE decoder cuts runs that are too long, which hides damage.
                check_rle(frame, pixel.rows * pixel.columns)
            values, properties = decoder.as_array(
                encapsulate([frame]),
                index=0,
                raw=True,
                decoding_plugin=plugin,
                **_layout(pixel, frames=1),
            )
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # panics of the decoder in Rust are not an Exception
            reasons.append(f"{plugin}: {_reason(error)}")
            continue
        if precision > pixel.bits_stored:
            _check_range(pixel, index, values)
        return _checked(pixel, index, values, str(properties["photometric_interpretation"]))
    raise UnreadableFile(f"no decoder can read frame {index + 1} ({'; '.join(reasons)})")


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


def _check_codestream(pixel: ImagePixel, index: int, frame: bytes) -> int:
    """Bits per component of a frame whose declared size is that of the header, else an error."""
    if pixel.transfer_syntax == RLELossless:
        return pixel.bits_stored
    declared = inspect(frame)
    found = (declared.rows, declared.columns, declared.samples)
    if found != (pixel.rows, pixel.columns, pixel.samples):
        raise UnreadableFile(
            f"the compressed frame {index + 1} is {found[0]} x {found[1]} with {found[2]} samples, "
            f"the header says {pixel.rows} x {pixel.columns} with {pixel.samples}"
        )
    return declared.precision


def _check_range(pixel: ImagePixel, index: int, values: NDArray) -> None:
    """Raise when a codestream of more bits than BitsStored holds values that need them."""
    low = -(2 ** (pixel.bits_stored - 1)) if pixel.signed else 0
    if values.min() < low or values.max() > 2**pixel.bits_stored - 1:
        raise UnreadableFile(
            f"frame {index + 1} holds values that do not fit BitsStored {pixel.bits_stored}"
        )


def _checked(pixel: ImagePixel, index: int, values: NDArray, photometric: str) -> StoredFrame:
    shape = (pixel.rows, pixel.columns) + ((pixel.samples,) if pixel.samples > 1 else ())
    if values.shape != shape:
        raise UnreadableFile(f"frame {index + 1} decodes to {values.shape}, expected {shape}")
    native = values.dtype.newbyteorder("=")
    return StoredFrame(index, np.ascontiguousarray(values, native), photometric)


def _reason(error: BaseException) -> str:
    """What a plugin said, without the list that pydicom puts around it."""
    last = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
    return last.split(": ", 1)[-1][:200]
