"""Planes in a row: their order, spacing, gaps and tilt, and the affine of their volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError
from qoqdata.readers.dicom.geometry import ImagePlane

# Two planes closer than this are one place: no scanner steps by a hundredth of a millimetre.
SAME_PLACE_MM = 0.01
_DIRECTION = 1e-3
_RELATIVE = 1e-3
# A step of this many usual ones is a missing slice.
_GAP = 1.5
# How much steps may differ before they are told as uneven.
_UNEVEN = 0.02
_TILT_DEGREES = 0.5


@dataclass(frozen=True)
class Gap:
    """A step too wide: from slice `after` to the next, `distance` mm along the normal."""

    after: int
    distance: float


@dataclass(frozen=True)
class SeriesStack:
    """An ordered stack of parallel planes.

    `order[k]` are the planes (numbers in the list that was given) at place k, more than one when
    they coincide. `positions` are mm along the normal, rising. `affine` maps (slice, row, column)
    indices to patient coordinates (LPS, mm), homogeneous; its slice axis is the true direction from
    slice to slice, also when the gantry was tilted by `tilt_degrees`. `spacing` is (slice, row,
    column) in mm, slices along the normal.
    """

    order: tuple[tuple[int, ...], ...]
    positions: tuple[float, ...]
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]
    gaps: tuple[Gap, ...]
    tilt_degrees: float
    repairs: tuple[str, ...]


def stack(
    planes: Sequence[ImagePlane], *, thickness: float | None, names: Sequence[str] | None = None
) -> SeriesStack:
    """Order planes along their normal; `thickness` (mm) spaces a single slice.

    Errors call the planes by `names`. Raises InputError when orientations or spacings are mixed,
    when the slices do not follow one straight line, or when a single slice has no thickness.
    """
    first = planes[0]
    names = names or [f"slice {k}" for k in range(len(planes))]
    _check_alike(planes, names)
    normal = first.normal
    corners = np.array([one.position for one in planes])
    along = corners @ normal
    ranks = [int(k) for k in np.argsort(along, kind="stable")]
    groups: list[list[int]] = [[ranks[0]]]
    for number in ranks[1:]:
        if along[number] - along[groups[-1][0]] < SAME_PLACE_MM:
            groups[-1].append(number)
        else:
            groups.append([number])
    firsts = [group[0] for group in groups]
    steps = np.diff(along[firsts])
    if len(firsts) == 1:
        if thickness is None or thickness <= 0:
            what = "a single slice without SliceThickness is no volume"
            raise InputError(what, where=names[0], fix="read it as an image (`unit: file`)")
        usual, direction = thickness, normal
    else:
        # The lower median: of two steps, one a gap, the other is the usual one.
        usual = float(np.sort(steps)[(len(steps) - 1) // 2])
        direction = corners[firsts[-1]] - corners[firsts[0]]
        direction = direction / np.linalg.norm(direction)
    _check_straight(corners[firsts], direction, first.spacing, [names[k] for k in firsts])
    cosine = float(np.clip(direction @ normal, -1.0, 1.0))
    tilt = float(np.degrees(np.arccos(cosine)))
    gaps = tuple(
        Gap(after=k, distance=float(step)) for k, step in enumerate(steps) if step > _GAP * usual
    )
    affine = np.eye(4)
    mean = float(steps.mean()) if len(steps) and not gaps else usual
    affine[:3, 0] = direction * mean / cosine
    affine[:3, 1] = np.array(first.column) * first.spacing[0]
    affine[:3, 2] = np.array(first.row) * first.spacing[1]
    affine[:3, 3] = corners[firsts[0]]
    return SeriesStack(
        order=tuple(tuple(group) for group in groups),
        positions=tuple(float(along[k]) for k in firsts),
        affine=affine,
        spacing=(mean, *first.spacing),
        gaps=gaps,
        tilt_degrees=tilt,
        repairs=tuple(_notes(steps, usual, gaps, tilt)),
    )


def _check_alike(planes: Sequence[ImagePlane], names: Sequence[str]) -> None:
    first = planes[0]
    for one, name in zip(planes[1:], names[1:], strict=True):
        turn = np.abs(np.subtract((one.row, one.column), (first.row, first.column))).max()
        if turn > _DIRECTION:
            what = "the slices have mixed orientations: {} here, {} in {}"
            values = (_words(*one.row, *one.column), _words(*first.row, *first.column), names[0])
            fix = "leave localizers and reformats out"
            raise InputError(what.format(*values), where=name, fix=fix)
        if not np.allclose(one.spacing, first.spacing, rtol=_RELATIVE, atol=0):
            what = "the slices have mixed pixel spacings: {} here, {} in {}"
            values = (_words(*one.spacing), _words(*first.spacing), names[0])
            raise InputError(what.format(*values), where=name)


def _words(*numbers: float) -> str:
    return f"({', '.join(f'{number:g}' for number in numbers)})"


def _check_straight(
    corners: NDArray[np.float64],
    direction: NDArray[np.float64],
    spacing: tuple[float, float],
    names: Sequence[str],
) -> None:
    """Raise InputError when a slice lies more than half a pixel beside the line of the stack."""
    offsets = corners - corners[0]
    beside = np.linalg.norm(offsets - np.outer(offsets @ direction, direction), axis=1)
    worst = int(beside.argmax())
    if beside[worst] > max(0.5 * min(spacing), SAME_PLACE_MM):
        what = (
            "the slices do not follow one straight line:"
            f" this one lies {beside[worst]:.2f} mm beside that from {names[0]} to {names[-1]}"
        )
        raise InputError(what, where=names[worst])


def _notes(
    steps: NDArray[np.float64], usual: float, gaps: tuple[Gap, ...], tilt: float
) -> list[str]:
    notes = []
    if len(steps) == 0:
        notes.append("a single slice: its thickness is the slice spacing")
    if gaps:
        notes.append(f"{len(gaps)} gaps between slices: the affine holds up to the first")
    even = steps[steps <= _GAP * usual]
    if len(even) and np.abs(even - usual).max() > _UNEVEN * usual + SAME_PLACE_MM:
        notes.append(f"uneven slice spacing: {even.min():.3f} to {even.max():.3f} mm")
    if tilt > _TILT_DEGREES:
        notes.append(f"gantry tilt of {tilt:.1f} degrees: the affine is sheared")
    return notes
