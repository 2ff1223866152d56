"""A DICOM series as one volume, its slices in order along their common normal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from qoqdata.errors import InputError, NoPixels, UnreadableFile
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.burned_in import burned_in_notes
from qoqdata.readers.dicom.dataset import located, open_dataset
from qoqdata.readers.dicom.functional_groups import holder
from qoqdata.readers.dicom.geometry import ImagePlane, plane
from qoqdata.readers.dicom.header import DicomHeader, header
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


@dataclass(frozen=True)
class _Slice:
    path: Path
    frame: int
    plane: ImagePlane
    header: DicomHeader
    thickness: float | None


def group_series(
    files: Iterable[Path | str], *, limits: Limits = DEFAULT_LIMITS
) -> dict[str, list[Path]]:
    """The files of each SeriesInstanceUID, in the order given; headers only, no pixels.

    Raises MissingFile, UnreadableFile for a file that is not DICOM or names no series, TooLarge.
    """
    groups: dict[str, list[Path]] = {}
    for path in map(Path, files):
        file = open_dataset(path, limits=limits, pixels=False)
        uid = elements.text(file.dataset, "SeriesInstanceUID")
        if uid is None:
            raise UnreadableFile("the object names no series", where=file.where)
        groups.setdefault(uid, []).append(path)
    return groups


def read_series(
    files: Path | str | Iterable[Path | str], *, limits: Limits = DEFAULT_LIMITS
) -> Series:
    """Read the slices of one series, classic or enhanced multi-frame, into a volume.

    files: a folder, whose files are all taken and whose objects without slices (reports, DICOMDIR,
        other formats) are left out and told in `repairs`; or a list, of which nothing is left out.

    Slices are ordered by the position of their first pixel along the normal of the image plane
    (PS3.3 C.7.6.2.1.1), never by name or number. Slices at one place with the same pixels are kept
    once. Rescale is applied per slice. Gaps, uneven steps and gantry tilt are told.

    Raises InputError for mixed series, orientations, sizes, spacings or rescales (but each PET
    slice may have its own), for different slices at one place, and for slices that cannot be
    placed; UnreadableFile, UnsupportedFormat, NoPixels, MissingFile, TooLarge as `read_dicom`.
    """
    slices, repairs = _slices(files, limits=limits)
    first = slices[0].header
    for name in ("series_instance_uid", "rows", "columns", "modality", "rescale_type"):
        if len({getattr(one.header, name) for one in slices}) > 1:
            raise InputError(
                f"the files differ in {name.replace('_', ' ')}",
                where=str(slices[0].path.parent),
                fix="split them with group_series",
            )
    where = str(slices[0].path if len({s.path for s in slices}) == 1 else slices[0].path.parent)
    with located(where):
        layout = stack([one.plane for one in slices], thickness=slices[0].thickness)
        shape = (len(layout.order), first.rows or 0, first.columns or 0)
        limits.check_shape("voxels", shape, where=where)
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


def _slices(
    files: Path | str | Iterable[Path | str], *, limits: Limits
) -> tuple[list[_Slice], list[str]]:
    """All slices of all files, from headers; and what was left out of a folder or repaired."""
    folder = isinstance(files, Path | str) and Path(files).is_dir()
    if folder:
        paths = sorted(path for path in Path(files).iterdir() if path.is_file())  # type: ignore[arg-type]
    elif isinstance(files, Path | str):
        paths = [Path(files)]
    else:
        paths = [Path(path) for path in files]
    slices: list[_Slice] = []
    repairs: list[str] = []
    for path in paths:
        try:
            file = open_dataset(path, limits=limits, pixels=False)
            with located(file.where):
                slices += _slices_of(path, file.dataset, limits=limits)
        except NoPixels:
            if not folder:
                raise
            repairs.append(f"left out: {path.name}, an object without slices")
            continue
        except UnreadableFile as error:
            if not folder or error.what != "the file is not DICOM":
                raise
            repairs.append(f"left out: {path.name}, not DICOM")
            continue
        repairs += (*file.repairs, *burned_in_notes(file.dataset))
    if not slices:
        raise InputError("no slices to make a volume of", where=str(files) if folder else None)
    return slices, repairs


def _slices_of(path: Path, dataset: Dataset, *, limits: Limits) -> list[_Slice]:
    facts = header(dataset)
    if facts.rows is None or facts.columns is None:
        raise NoPixels(f"a DICOM object without slices ({facts.modality or 'unknown modality'})")
    limits.check("frames", facts.frames, where=str(path))
    return [
        _Slice(path, frame, plane(dataset, frame), facts, _thickness(dataset, frame))
        for frame in range(facts.frames)
    ]


def _thickness(dataset: Dataset, frame: int) -> float | None:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        distance = elements.number(
            holder(dataset, frame, "PixelMeasuresSequence", keyword), keyword
        )
        if distance is not None and distance > 0:
            return distance
    return None


def _decode(
    slices: Sequence[_Slice], layout: SeriesStack, shape: tuple[int, int, int], *, limits: Limits
) -> NDArray[np.float32]:
    """The values of every place; raises InputError when slices at one place differ."""
    out = np.empty(shape, np.float32)
    place = {numbers[0]: k for k, numbers in enumerate(layout.order)}
    again = {number: k for k, numbers in enumerate(layout.order) for number in numbers[1:]}
    rescales: set[tuple[Any, ...]] = set()
    for number, values, modality in _values(slices, place, limits=limits):
        out[place[number]] = values
        rescales.add(_signature(modality))
    for number, values, modality in _values(slices, again, limits=limits):
        rescales.add(_signature(modality))
        if not np.array_equal(out[again[number]], values, equal_nan=True):
            raise InputError(
                "different slices lie at one place",
                fix="split time points, echoes or phases into series of their own",
            )
    if len(rescales) > 1 and slices[0].header.modality != "PT":
        raise InputError("the slices have mixed rescales")
    return out


def _values(
    slices: Sequence[_Slice], numbers: Iterable[int], *, limits: Limits
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
        return table.first, table.entries.tobytes()
    return modality.slope, modality.intercept
