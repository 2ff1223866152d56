"""The values of a stack of slices, each through its own rescale, and how each is to be shown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from qoqdata.errors import InputError
from qoqdata.readers.dicom import transforms
from qoqdata.readers.dicom.dataset import located, open_dataset
from qoqdata.readers.dicom.image_pixel import ImagePixel
from qoqdata.readers.dicom.presentation import Presentation, presentations
from qoqdata.readers.dicom.stack import SeriesStack
from qoqdata.readers.dicom.units import has_rescale, modality_unit, not_hounsfield
from qoqdata.readers.dicom.values import ValueFrame, value_frames, value_pixel
from qoqdata.readers.dicom.windowing import Modality
from qoqdata.readers.limits import Limits

#: The file and 0-based frame of a slice.
Source = tuple[Path, int]


@dataclass(frozen=True, eq=False)
class SeriesValues:
    """Modality values of a stack, float32 (slice, row, column).

    `void` is True where a file says that there are no data, None when that is nowhere.
    `presentations` has what each slice's file says about showing it. `not_hounsfield` is why the
    values are not in HU, with the file's name, None when all are. `repairs` as in `Series`.
    """

    values: NDArray[np.float32]
    void: NDArray[np.bool_] | None
    presentations: tuple[Presentation, ...]
    not_hounsfield: str | None
    repairs: tuple[str, ...]


@dataclass(frozen=True)
class _Said:
    """What the file of a slice says about it, and what was repaired."""

    path: Path
    presentation: Presentation
    unit: str
    rescaled: bool
    identity: bool
    not_hounsfield: str | None
    repairs: tuple[str, ...]


def series_values(
    sources: Sequence[Source], layout: SeriesStack, shape: tuple[int, int, int], *, limits: Limits
) -> SeriesValues:
    """Decode the slices that `layout` orders; `shape` is that of the volume.

    Raises InputError, with the files, when slices at one place differ, when the units of slices
    differ, and when only some have a rescale; and as `read_values`.
    """
    values, void = np.empty(shape, np.float32), None
    place = {numbers[0]: k for k, numbers in enumerate(layout.order)}
    again = {number: k for k, numbers in enumerate(layout.order) for number in numbers[1:]}
    told: dict[int, _Said] = {}
    for number, frame, said in _decoded(sources, place, limits=limits):
        at = place[number]
        values[at] = frame.values
        told[at] = replace(said, repairs=(*said.repairs, *frame.repairs))
        if frame.void is not None:
            void = np.zeros(shape, np.bool_) if void is None else void
            void[at] = frame.void
    slices = [told[at] for at in range(len(layout.order))]
    _check_alike(slices)
    for number, frame, said in _decoded(sources, again, limits=limits):
        at = again[number]
        if not np.array_equal(values[at], frame.values, equal_nan=True):
            raise InputError(
                f"different slices lie at one place, {layout.positions[at]:g} mm along the normal: "
                f"this one and {told[at].path.name}",
                where=str(said.path),
                fix="split time points, echoes or phases into series of their own",
            )
    reasons = (f"{one.path.name}: {one.not_hounsfield}" for one in slices if one.not_hounsfield)
    return SeriesValues(
        values=values,
        void=void,
        presentations=tuple(one.presentation for one in slices),
        not_hounsfield=next(reasons, None),
        repairs=tuple(dict.fromkeys(note for one in slices for note in one.repairs)),
    )


def _check_alike(slices: Sequence[_Said]) -> None:
    """Raise InputError unless the values of all slices can be compared.

    Each slice may have a rescale of its own. Without one it may lie beside rescales that change
    nothing.
    """
    first = slices[0]
    for one in slices[1:]:
        if one.unit != first.unit:
            raise InputError(
                f"the slices differ in rescale type or units: this one is in {one.unit}, "
                f"{first.path.name} in {first.unit}",
                where=str(one.path),
                fix="keep slices of one unit in a series",
            )
    bare = [one for one in slices if not one.rescaled]
    changed = [one for one in slices if not one.identity]
    if bare and changed:
        raise InputError(
            f"this slice has no rescale, {changed[0].path.name} has one",
            where=str(bare[0].path),
            fix="export the series again with RescaleSlope and RescaleIntercept in each slice",
        )


def _decoded(
    sources: Sequence[Source], numbers: Iterable[int], *, limits: Limits
) -> Iterator[tuple[int, ValueFrame, _Said]]:
    """Number and content of the wanted slices; each file is opened once."""
    files: dict[Path, dict[int, int]] = {}
    for number in numbers:
        path, frame = sources[number]
        files.setdefault(path, {})[frame] = number
    for path, frames in files.items():
        file = open_dataset(path, limits=limits)
        with located(file.where):
            pixel = value_pixel(file, limits=limits)
            said = _said(path, file.dataset, pixel, sorted(frames))
            padding = next(iter(said.values())).presentation.padding
            for one in value_frames(file, pixel, sorted(frames), padding):
                yield frames[one.index], one, said[one.index]


def _said(
    path: Path, dataset: Dataset, pixel: ImagePixel, frames: Sequence[int]
) -> dict[int, _Said]:
    modalities: dict[int, Modality] = {}
    repairs: list[str] = []
    for index in frames:
        modalities[index], notes = transforms.modality(dataset, index, pixel)
        repairs += notes
    shown, notes = presentations(dataset, pixel, modalities)
    for one in shown.values():
        if one.fault is not None:  # it is raised later, if at all
            one.fault.where = str(path)
    return {
        index: _Said(
            path=path,
            presentation=shown[index],
            unit=modality_unit(dataset, index),
            rescaled=has_rescale(dataset, index),
            identity=modality == Modality(),
            not_hounsfield=not_hounsfield(dataset, index),
            repairs=(*repairs, *notes),
        )
        for index, modality in modalities.items()
    }
