"""A DICOM series as one volume, its slices in order along their common normal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError
from qoqdata.readers.dicom.dataset import located, open_dataset
from qoqdata.readers.dicom.header import DicomHeader, read_dicom_header
from qoqdata.readers.dicom.series_identity import find_series
from qoqdata.readers.dicom.slices import Slice, check_one_series, read_slices
from qoqdata.readers.dicom.stack import Gap, SeriesStack, stack
from qoqdata.readers.dicom.values import modality_frames, value_pixel
from qoqdata.readers.dicom.windowing import Modality
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits


@dataclass(frozen=True)
class SeriesIds:
    """Raw identifiers, to be hashed and never stored; `sop_instance_uids` has one per slice."""

    patient_id: str | None
    study_instance_uid: str | None
    series_instance_uid: str | None
    sop_instance_uids: tuple[str | None, ...]


@dataclass(frozen=True)
class Series:
    """A volume of modality values.

    `values` is float32 (slice, row, column), HU for CT. `affine` (4, 4) maps (slice, row, column)
    indices to patient coordinates (LPS, mm), homogeneous. `spacing` is (slice, row, column) in mm,
    `positions` the mm of each slice along the normal, rising. `gaps` are missing slices,
    `duplicates` the files of slices that were there twice with the same pixels, and were dropped.
    `header` holds the facts of the first slice. `repairs` names all that was not in order.
    """

    values: NDArray[np.float32]
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]
    positions: tuple[float, ...]
    gaps: tuple[Gap, ...]
    duplicates: tuple[Path, ...]
    tilt_degrees: float
    repairs: tuple[str, ...]
    header: DicomHeader
    ids: SeriesIds


def group_series(
    files: Iterable[Path | str], *, limits: Limits = DEFAULT_LIMITS
) -> dict[str, list[Path]]:
    """The files of each series in sorted order, by its UID or, where that names several or none, by
    what tells them apart (`find_series`); headers only, no pixels.

    Raises MissingFile, UnreadableFile for a file that is not DICOM, TooLarge, and InputError where
    it cannot be told what a file belongs to.
    """
    headers = {str(path): read_dicom_header(path, limits=limits) for path in files}
    groups = {}
    for one in find_series(headers):
        if one.fault is not None:
            raise one.fault
        groups[one.key] = [Path(path) for path in one.files]
    return groups


def read_series(
    files: Path | str | Iterable[Path | str], *, limits: Limits = DEFAULT_LIMITS
) -> Series:
    """Read the slices of one series, classic or enhanced multi-frame, into a volume.

    files: a folder, whose files are all taken and whose objects without slices (reports, DICOMDIR,
        other formats) are left out and told in `repairs`; or a list, of which nothing is left out.

    Slices are ordered by the position of their first pixel along the normal of the image plane
    (PS3.3 C.7.6.2.1.1), never by name or number. Slices at one place with the same pixels are kept
    once. Rescale is applied per slice. Gaps, uneven steps, gantry tilt, repeated SOP
    instance UIDs and a single slice are told.

    Raises InputError, which names two files and what they say, for mixed patients, studies, series,
    frames of reference, orientations, sizes, spacings or rescales (but each PET slice may have its
    own), and for different slices at one place; NotAVolume for images that are no slices
    (ultrasound, radiographs, colour); UnreadableFile for slices that cannot be placed, and as
    `read_dicom`, which also raises UnsupportedFormat, NoPixels, MissingFile and TooLarge.
    """
    slices, repairs = read_slices(files, limits=limits)
    first = slices[0].header
    repairs += check_one_series(slices)
    layout = stack(
        [one.plane for one in slices],
        thickness=slices[0].thickness,
        names=[one.name for one in slices],
    )
    shape = (len(layout.order), first.rows or 0, first.columns or 0)
    limits.check_shape("voxels", shape, where=str(slices[0].path))
    values = _decode(slices, layout, shape, limits=limits)
    firsts = [slices[numbers[0]] for numbers in layout.order]
    duplicates = tuple(slices[number].path for numbers in layout.order for number in numbers[1:])
    if duplicates:
        repairs.append(f"{len(duplicates)} slices were there twice with the same pixels: kept once")
    return Series(
        values=values,
        affine=layout.affine,
        spacing=layout.spacing,
        positions=layout.positions,
        gaps=layout.gaps,
        duplicates=duplicates,
        tilt_degrees=layout.tilt_degrees,
        repairs=tuple(dict.fromkeys((*repairs, *layout.repairs))),
        header=firsts[0].header,
        ids=SeriesIds(
            patient_id=first.patient_id,
            study_instance_uid=first.study_instance_uid,
            series_instance_uid=first.series_instance_uid,
            sop_instance_uids=tuple(one.header.sop_instance_uid for one in firsts),
        ),
    )


def _decode(
    slices: Sequence[Slice], layout: SeriesStack, shape: tuple[int, int, int], *, limits: Limits
) -> NDArray[np.float32]:
    """The values of every place; raises InputError when slices at one place differ."""
    out = np.empty(shape, np.float32)
    place = {numbers[0]: k for k, numbers in enumerate(layout.order)}
    again = {number: k for k, numbers in enumerate(layout.order) for number in numbers[1:]}
    rescales: dict[tuple[Any, ...], Slice] = {}
    for number, values, modality in _values(slices, place, limits=limits):
        out[place[number]] = values
        rescales.setdefault(_signature(modality), slices[number])
    for number, values, modality in _values(slices, again, limits=limits):
        rescales.setdefault(_signature(modality), slices[number])
        at = again[number]
        if not np.array_equal(out[at], values, equal_nan=True):
            raise InputError(
                f"different slices lie at one place, {layout.positions[at]:g} mm along the normal:"
                f" this one and {slices[layout.order[at][0]].name}",
                where=slices[number].name,
                fix="split time points, echoes or phases into series of their own",
            )
    if len(rescales) > 1 and slices[0].header.modality != "PT":
        (one, first), (two, other) = list(rescales.items())[:2]
        what = f"the slices have mixed rescales: {_words(two)} here, {_words(one)} in {first.name}"
        raise InputError(what, where=other.name)
    return out


def _values(
    slices: Sequence[Slice], numbers: Iterable[int], *, limits: Limits
) -> Iterator[tuple[int, NDArray[np.float32], Modality]]:
    """Number, modality values and transform of the wanted slices; each file is opened once."""
    files: dict[Path, dict[int, int]] = {}
    for number in numbers:
        files.setdefault(slices[number].path, {})[slices[number].frame] = number
    for path, frames in files.items():
        file = open_dataset(path, limits=limits)
        with located(file.where):
            pixel = value_pixel(file, limits=limits)
            for frame, values, modality in modality_frames(file, pixel, list(frames)):
                yield frames[frame], values, modality


def _signature(modality: Modality) -> tuple[Any, ...]:
    table = modality.lut
    if table is not None:
        return "table", table.first, table.entries.tobytes()
    return modality.slope, modality.intercept


def _words(signature: tuple[Any, ...]) -> str:
    return "a table" if signature[0] == "table" else "slope {:g}, intercept {:g}".format(*signature)
