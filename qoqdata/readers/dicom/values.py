"""Modality values (HU for CT) of a DICOM file, without any VOI or presentation transform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError
from qoqdata.readers.dicom import transforms
from qoqdata.readers.dicom.belief import believed
from qoqdata.readers.dicom.dataset import OpenFile, located, open_dataset
from qoqdata.readers.dicom.decode import stored_frames
from qoqdata.readers.dicom.frames import places, wanted_frames
from qoqdata.readers.dicom.grey import look_up, no_data, whole_values, words
from qoqdata.readers.dicom.header import DicomHeader, header
from qoqdata.readers.dicom.image_pixel import GREY, ImagePixel, image_pixel
from qoqdata.readers.dicom.windowing import Modality, stored_values
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, eq=False)
class ValueFrame:
    """Modality values of one frame, float32 (rows, columns), and the transform that gave them.

    `void` is True where the file says that there are no data (padding, NaN); None for nowhere.
    `repairs` tells where values and header contradicted each other.
    """

    index: int
    values: NDArray[np.float32]
    modality: Modality
    void: NDArray[np.bool_] | None
    repairs: tuple[str, ...]


def read_values(
    path: Path | str, *, frames: Sequence[int] | None = None, limits: Limits = DEFAULT_LIMITS
) -> tuple[NDArray[np.float32], DicomHeader]:
    """Modality values, float32 (n, rows, columns), and the facts of the header.

    Stored values through the Modality LUT or each frame's own rescale (PS3.3 C.11.1): HU for CT.
    Nothing is inverted, windowed, resampled or replaced; padding keeps its value. `frames` are
    0-based, in the order to return them; None for all. The header's spacing is that of the first.

    Raises as `read_dicom`, and InputError for a colour image.
    """
    file = open_dataset(Path(path), limits=limits)
    with located(file.where):
        pixel = value_pixel(file, limits=limits)
        indices = wanted_frames(frames, pixel)
        place = places(indices)
        decoder = value_frames(file, pixel, indices)
        if len(indices) == 1:  # a new array: no need to copy it
            out = next(decoder).values[np.newaxis]
        else:
            out = np.empty((len(indices), pixel.rows, pixel.columns), np.float32)
            for one in decoder:
                out[place[one.index]] = one.values
        return out, header(file.dataset, frame=indices[0])


def value_pixel(file: OpenFile, *, limits: Limits) -> ImagePixel:
    """The pixel layout of a grey image; raises InputError for colour, else as `image_pixel`."""
    pixel = image_pixel(file, limits=limits)
    if pixel.photometric not in GREY:
        raise InputError(f"a {pixel.photometric} image has no modality values")
    return pixel


def value_frames(
    file: OpenFile,
    pixel: ImagePixel,
    indices: Sequence[int],
    padding: tuple[float, float] | None = None,
) -> Iterator[ValueFrame]:
    """Modality values of the wanted frames, in ascending order.

    padding: stored values that stand for no data, with both ends.
    """
    tables: dict[tuple[Modality, bool], NDArray[np.float32]] = {}
    void: NDArray[np.bool_] | None
    declared = pixel
    for frame in stored_frames(declared, indices):
        pixel = believed(file.dataset, declared, frame)
        notes = pixel.repairs
        modality, _ = transforms.modality(file.dataset, frame.index, pixel)
        if not pixel.tabled:
            stored = whole_values(pixel, frame.values)
            void = no_data(stored, padding)
            values = modality(stored).astype(np.float32)
            yield ValueFrame(frame.index, values, modality, void if void.any() else None, notes)
            continue
        key = modality, pixel.signed
        if key not in tables:
            every = stored_values(*pixel.word)
            tables[key] = modality(every).astype(np.float32)
        index = words(frame.values)
        is_padding = transforms.padded(pixel.word, padding) if padding else None
        void = None if is_padding is None else np.take(is_padding, index)
        yield ValueFrame(frame.index, look_up(index, tables[key]), modality, void, notes)
