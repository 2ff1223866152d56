"""Segmentation objects (PS3.3 A.51, C.8.20): binary, fractional and label maps, frame by frame.

For sources whose annotations are DICOM SEG; `masks.boxes` makes regions of the frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from qoqdata.errors import InputError, UnreadableFile
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.dataset import located, open_dataset
from qoqdata.readers.dicom.decode import stored_frames
from qoqdata.readers.dicom.functional_groups import group
from qoqdata.readers.dicom.geometry import ImagePlane, plane
from qoqdata.readers.dicom.grey import words
from qoqdata.readers.dicom.header import DicomHeader, header
from qoqdata.readers.dicom.image_pixel import ImagePixel, image_pixel
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits

KINDS = ("BINARY", "FRACTIONAL", "LABELMAP")


@dataclass(frozen=True)
class Segment:
    """One segment: its number, label, and the coded property type as (value, scheme, meaning)."""

    number: int
    label: str
    property_type: tuple[str, str, str] | None


@dataclass(frozen=True)
class SegmentFrame:
    """What a frame shows: its segment (None in a label map), its source image, its place.

    `source_sop_instance_uid` is raw, to match and never to store; `source_frame` is the 0-based
    frame of a multi-frame source. `plane` is None when the object gives no patient position.
    """

    segment: int | None
    source_sop_instance_uid: str | None
    source_frame: int | None
    plane: ImagePlane | None


@dataclass(frozen=True)
class Segmentation:
    """All frames of a segmentation object.

    `pixels` is (n, rows, columns): uint8 of 0 and 1 (BINARY), float32 of 0.0 to 1.0 (FRACTIONAL),
    or uint8 / uint16 segment numbers (LABELMAP). `frames[k]` says what `pixels[k]` shows.
    """

    kind: str
    pixels: NDArray[Any]
    frames: tuple[SegmentFrame, ...]
    segments: tuple[Segment, ...]
    header: DicomHeader
    repairs: tuple[str, ...]


def read_segmentation(path: Path | str, *, limits: Limits = DEFAULT_LIMITS) -> Segmentation:
    """Read a DICOM SEG object. Frames stay as stored: no resampling, no merging of segments.

    Raises InputError when the object is no segmentation, UnreadableFile when a frame names no known
    segment or holds values outside its kind, else as `read_dicom`.
    """
    file = open_dataset(Path(path), limits=limits)
    with located(file.where):
        dataset = file.dataset
        kind = elements.code_string(dataset, "SegmentationType")
        if kind not in KINDS:
            raise InputError("the object is not a segmentation")
        pixel = image_pixel(file, limits=limits)
        segments = tuple(_segment(item) for item in elements.items(dataset, "SegmentSequence"))
        numbers = {segment.number for segment in segments}
        frames = tuple(_frame(dataset, k, kind, numbers) for k in range(pixel.frames))
        return Segmentation(
            kind=kind,
            pixels=_pixels(dataset, pixel, kind, numbers),
            frames=frames,
            segments=segments,
            header=header(dataset),
            repairs=file.repairs + pixel.repairs,
        )


def _segment(item: Dataset) -> Segment:
    code = elements.item(item, "SegmentedPropertyTypeCodeSequence")
    kind = None
    if code is not None:
        value = elements.text(code, "CodeValue") or elements.text(code, "LongCodeValue")
        scheme = elements.text(code, "CodingSchemeDesignator")
        kind = (value or "", scheme or "", elements.text(code, "CodeMeaning") or "")
    return Segment(
        number=elements.required(item, "SegmentNumber"),
        label=elements.text(item, "SegmentLabel") or "",
        property_type=kind,
    )


def _frame(dataset: Dataset, index: int, kind: str, numbers: set[int]) -> SegmentFrame:
    number = None
    if kind != "LABELMAP":
        item = group(dataset, index, "SegmentIdentificationSequence")
        number = None if item is None else elements.integer(item, "ReferencedSegmentNumber")
        if number is None and len(numbers) == 1:
            number = next(iter(numbers))
        if number not in numbers:
            raise UnreadableFile(f"frame {index + 1} names no segment of the object")
    uid, source_frame = _source(dataset, index)
    return SegmentFrame(number, uid, source_frame, _plane(dataset, index))


def _source(dataset: Dataset, index: int) -> tuple[str | None, int | None]:
    """SOP instance and 0-based frame that a frame was drawn on; (None, None) when not said."""
    derivation = group(dataset, index, "DerivationImageSequence")
    source = None if derivation is None else elements.item(derivation, "SourceImageSequence")
    if source is None:
        return None, None
    frame = elements.integer(source, "ReferencedFrameNumber")
    uid = elements.text(source, "ReferencedSOPInstanceUID")
    return uid, None if frame is None else frame - 1


def _plane(dataset: Dataset, index: int) -> ImagePlane | None:
    """The plane of a frame; None when neither the frame nor the object gives a position."""
    if group(dataset, index, "PlanePositionSequence") is None:
        return None
    return plane(dataset, index)


def _pixels(dataset: Dataset, pixel: ImagePixel, kind: str, numbers: set[int]) -> NDArray[Any]:
    if pixel.samples != 1 or not pixel.tabled or pixel.signed:
        raise UnreadableFile("a segmentation needs one unsigned sample of up to 16 bits")
    most = 1
    if kind == "FRACTIONAL":
        most = elements.required(dataset, "MaximumFractionalValue")
        if not 1 <= most <= 255:
            raise UnreadableFile("MaximumFractionalValue is not between 1 and 255")
    shape = (pixel.frames, pixel.rows, pixel.columns)
    dtype = np.float32 if kind == "FRACTIONAL" else np.dtype(f"u{pixel.word_bits // 8}")
    out = np.empty(shape, dtype)
    for frame in stored_frames(pixel, range(pixel.frames)):
        values = words(frame.values)
        if kind == "LABELMAP":
            unknown = set(np.unique(values).tolist()) - numbers - {0}
            if unknown:
                raise UnreadableFile(f"frame {frame.index + 1} holds labels of no segment")
        elif values.max() > most:
            raise UnreadableFile(f"frame {frame.index + 1} holds values above {most}")
        out[frame.index] = values / np.float32(most) if kind == "FRACTIONAL" else values
    return out
