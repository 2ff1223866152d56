"""A DICOM series as one volume, its slices in order along their common normal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError
from qoqdata.readers.dicom.header import DicomHeader, read_dicom_header
from qoqdata.readers.dicom.presentation import Presentation
from qoqdata.readers.dicom.series_identity import find_series
from qoqdata.readers.dicom.series_values import series_values
from qoqdata.readers.dicom.slices import Slice, check_one_series, read_slices
from qoqdata.readers.dicom.stack import Gap, stack
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

    `values` is float32 (slice, row, column), each slice through its own rescale, HU for CT unless
    `not_hounsfield` says why not. `void`, of the same shape, is True where the files say that there
    are no data; None when that is nowhere. `presentations` are the files' own windows, tables,
    polarity and padding, one for each slice. `affine` (4, 4) maps (slice, row, column)
    indices to patient coordinates (LPS, mm), homogeneous. `spacing` is (slice, row, column) in mm,
    `positions` the mm of each slice along the normal, rising. `gaps` are missing slices,
    `duplicates` the files of slices that were there twice with the same pixels, and were dropped.
    `header` holds the facts of the first slice. `repairs` names all that was not in order.
    """

    values: NDArray[np.float32]
    void: NDArray[np.bool_] | None
    presentations: tuple[Presentation, ...]
    not_hounsfield: str | None
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]
    positions: tuple[float, ...]
    gaps: tuple[Gap, ...]
    duplicates: tuple[Path, ...]
    tilt_degrees: float
    repairs: tuple[str, ...]
    header: DicomHeader
    ids: SeriesIds


@dataclass(frozen=True)
class SeriesOrder:
    """The slices of a series in order along their common normal, from headers alone.

    `files` has the file and frame of each slice; affine, spacing, positions, gaps, header and ids
    are as of `Series`, whose values these slices would have.
    """

    files: tuple[tuple[Path, int], ...]
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]
    positions: tuple[float, ...]
    gaps: tuple[Gap, ...]
    repairs: tuple[str, ...]
    header: DicomHeader
    ids: SeriesIds


def read_series_order(
    files: Path | str | Iterable[Path | str], *, limits: Limits = DEFAULT_LIMITS
) -> SeriesOrder:
    """The order of the slices of one series, for readers who want few of them; no pixels.

    As `read_series`, which also says what is raised. Pixels would tell whether slices at one place
    are the same, so InputError is raised for such here.
    """
    slices, repairs = read_slices(files, limits=limits)
    repairs += check_one_series(slices)
    names = [one.name for one in slices]
    layout = stack([one.plane for one in slices], thickness=slices[0].thickness, names=names)
    if twice := next((numbers for numbers in layout.order if len(numbers) > 1), None):
        first, second = (names[number] for number in twice[:2])
        fix = "remove the one that is a copy"
        raise InputError(f"lies where {first} lies", where=second, fix=fix)
    ordered = [slices[number] for (number,) in layout.order]
    return SeriesOrder(
        files=tuple((one.path, one.frame) for one in ordered),
        affine=layout.affine,
        spacing=layout.spacing,
        positions=layout.positions,
        gaps=layout.gaps,
        repairs=tuple(dict.fromkeys((*repairs, *layout.repairs))),
        header=ordered[0].header,
        ids=_ids(ordered),
    )


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
    once. Each slice goes through its own rescale. Gaps, uneven steps, gantry tilt, repeated SOP
    instance UIDs and a single slice are told.

    Raises InputError, which names two files and what they say, for mixed patients, studies, series,
    frames of reference, orientations, sizes, spacings or units, for a rescale that only some slices
    have, and for different slices at one place; NotAVolume for images that are no slices
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
    sources = [(one.path, one.frame) for one in slices]
    decoded = series_values(sources, layout, shape, limits=limits)
    firsts = [slices[numbers[0]] for numbers in layout.order]
    duplicates = tuple(slices[number].path for numbers in layout.order for number in numbers[1:])
    if duplicates:
        repairs.append(f"{len(duplicates)} slices were there twice with the same pixels: kept once")
    return Series(
        values=decoded.values,
        void=decoded.void,
        presentations=decoded.presentations,
        not_hounsfield=decoded.not_hounsfield,
        affine=layout.affine,
        spacing=layout.spacing,
        positions=layout.positions,
        gaps=layout.gaps,
        duplicates=duplicates,
        tilt_degrees=layout.tilt_degrees,
        repairs=tuple(dict.fromkeys((*repairs, *decoded.repairs, *layout.repairs))),
        header=firsts[0].header,
        ids=_ids(firsts),
    )


def _ids(slices: Sequence[Slice]) -> SeriesIds:
    first = slices[0].header
    return SeriesIds(
        patient_id=first.patient_id,
        study_instance_uid=first.study_instance_uid,
        series_instance_uid=first.series_instance_uid,
        sop_instance_uids=tuple(one.header.sop_instance_uid for one in slices),
    )
