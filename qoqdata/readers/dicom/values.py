"""Modality values (HU for CT) of a DICOM file, without any VOI or presentation transform."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError
from qoqdata.readers.dicom import transforms
from qoqdata.readers.dicom.belief import believed
from qoqdata.readers.dicom.dataset import OpenFile, located, open_dataset
from qoqdata.readers.dicom.decode import stored_frames
from qoqdata.readers.dicom.frames import places, wanted_frames
from qoqdata.readers.dicom.grey import look_up, whole_values, words
from qoqdata.readers.dicom.header import DicomHeader, header
from qoqdata.readers.dicom.image_pixel import GREY, ImagePixel, image_pixel
from qoqdata.readers.dicom.windowing import Modality, stored_values
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits


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
        decoder = modality_frames(file, pixel, indices)
        if len(indices) == 1:  # a new array: no need to copy it
            out = next(decoder)[1][np.newaxis]
        else:
            out = np.empty((len(indices), pixel.rows, pixel.columns), np.float32)
            for index, values, _ in decoder:
                out[place[index]] = values
        return out, header(file.dataset, frame=indices[0])


def value_pixel(file: OpenFile, *, limits: Limits) -> ImagePixel:
    """The pixel layout of a grey image; raises InputError for colour, else as `image_pixel`."""
    pixel = image_pixel(file, limits=limits)
    if pixel.photometric not in GREY:
        raise InputError(f"a {pixel.photometric} image has no modality values")
    return pixel


def modality_frames(
    file: OpenFile, pixel: ImagePixel, indices: Sequence[int]
) -> Iterator[tuple[int, NDArray[np.float32], Modality]]:
    """Index, modality values (rows, columns) and their transform, per frame in ascending order."""
    tables: dict[tuple[Modality, bool], NDArray[np.float32]] = {}
    declared = pixel
    for frame in stored_frames(declared, indices):
        pixel = believed(file.dataset, declared, frame)
        modality, _ = transforms.modality(file.dataset, frame.index, pixel)
        if not pixel.tabled:
            values = whole_values(pixel, frame.values)
            yield frame.index, modality(values).astype(np.float32), modality
            continue
        key = modality, pixel.signed
        if key not in tables:
            every = stored_values(*pixel.word)
            tables[key] = modality(every).astype(np.float32)
        yield frame.index, look_up(words(frame.values), tables[key]), modality
