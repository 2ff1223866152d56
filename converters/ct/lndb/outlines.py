"""Where the findings of a scan lie: readers' masks joined, and points, on the scan's grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from qoqdata.errors import Misaligned
from qoqdata.readers import volume
from qoqdata.readers.volume import Volume

from .findings import agreed, diameter_mm, outlined

#: mm by which the centre of a mask may be off the table's place, beside the finding's radius.
APART_MM = 5.0
#: How many times larger or smaller than in the table a nodule may be drawn: twice its diameter.
VOLUMES = 8.0
POINT_RADIUS_MM = 1.5


@dataclass(frozen=True, eq=False)
class Outlines:
    """Agreed nodules of a scan by number, and which slices hold what else.

    `numbers` is a label volume on the scan's grid whose codes are the findings' numbers. By array
    index along the slice axis: `disputed` where fewer readers outlined a nodule, or nobody's mask
    has it, `small` where a nodule under 3 mm lies. `points` are voxel indices of findings that were
    marked by points alone. `axis` is the axial one.
    """

    numbers: Volume
    axis: int
    nodules: Mapping[int, Mapping[str, Any]]
    points: Mapping[int, NDArray[np.float64]]
    disputed: NDArray[np.bool_]
    small: NDArray[np.bool_]

    def profile(self, number: int | None = None) -> NDArray[np.int64]:
        """Voxels of a nodule, or of all, by array index along the slice axis."""
        voxels = self.numbers.voxels
        drawn = voxels != 0 if number is None else voxels == number
        return np.asarray(drawn.sum(axis=tuple(a for a in range(3) if a != self.axis)))


def outline(
    scan: Volume,
    findings: Sequence[Mapping[str, Any]],
    masks: Mapping[int, Volume],
    readers: int,
) -> Outlines:
    """Join the masks of a scan's readers, whose codes are the readers' own numbers of findings.

    A nodule is what at least half of those who outlined it drew. Raises Misaligned for a mask on
    another grid or of a finding that lies elsewhere, BadLabel for a code that no row names.
    """
    labels = {}
    for reader, mask in masks.items():
        volume.check_same_grid(scan, mask, where=mask.where or f"mask of reader {reader}")
        own = [m for f in findings for m in f["marks"] if m["reader"] == reader]
        labels[reader] = volume.label_volume(mask, {m["mark"]: f"finding {m['mark']}" for m in own})
    boxes = {reader: ndimage.find_objects(one.voxels) for reader, one in labels.items()}
    axis = volume.axis_of_plane(scan.affine, "axial")
    count = scan.voxels.shape[axis]
    numbers = np.zeros(scan.voxels.shape, np.uint16)
    disputed, small = np.zeros(count, bool), np.zeros(count, bool)
    nodules, points = {}, {}
    for finding in findings:
        marks = outlined(finding)
        place = _voxel(scan, finding)
        if not marks:
            points[finding["number"]] = place
            if any(mark["nodule"] for mark in finding["marks"]):
                small |= _around(place, axis, scan, POINT_RADIUS_MM)
            continue
        drawn = [
            (labels[m["reader"]].voxels, boxes[m["reader"]][m["mark"] - 1], m["mark"])
            for m in marks
            if m["reader"] in labels and len(boxes[m["reader"]]) >= m["mark"]
        ]
        found = [(voxels, box, code) for voxels, box, code in drawn if box is not None]
        if len(found) == len(marks):
            _check_volume(scan, finding, marks, found)
        if len(found) < len(marks) or not agreed(finding, readers):
            disputed |= _around(place, axis, scan, diameter_mm(finding) / 2)
            for _, box, _ in found:
                disputed[box[axis]] = True
            continue
        box, votes = _votes(found)
        majority = votes * 2 >= len(marks)
        _check_place(scan, box, majority, place, finding)
        numbers[box][majority] = finding["number"]
        nodules[finding["number"]] = finding
    return Outlines(
        replace(scan, voxels=numbers, repairs=()), axis, nodules, points, disputed, small
    )


def _votes(
    found: Sequence[tuple[NDArray[Any], tuple[slice, ...], int]],
) -> tuple[tuple[slice, ...], NDArray[np.int64]]:
    """How many readers drew each voxel of the box around all of their outlines."""
    box = tuple(
        slice(min(one[a].start for _, one, _ in found), max(one[a].stop for _, one, _ in found))
        for a in range(3)
    )
    return box, np.sum([voxels[box] == code for voxels, _, code in found], axis=0)


def _voxel(scan: Volume, finding: Mapping[str, Any]) -> NDArray[np.float64]:
    """The voxel indices of a finding's mean place, which tables give in LPS mm."""
    lps = np.mean([mark["place"] for mark in finding["marks"]], axis=0)
    return np.asarray(volume.voxel_from_world(scan.affine, lps[None] * [-1, -1, 1])[0])


def _around(
    place: NDArray[np.float64], axis: int, scan: Volume, radius: float
) -> NDArray[np.bool_]:
    """Slices that a ball around a place reaches, and the one that its centre is next to."""
    far = np.abs(np.arange(scan.voxels.shape[axis]) - place[axis])
    return np.asarray((far * scan.spacing[axis] <= radius) | (far <= 0.5))


def _check_volume(
    scan: Volume,
    finding: Mapping[str, Any],
    marks: Sequence[Mapping[str, Any]],
    found: Sequence[tuple[NDArray[Any], tuple[slice, ...], int]],
) -> None:
    """Raise Misaligned where what readers drew is not of the volume that the table gives."""
    drawn = sum(int((voxels[box] == code).sum()) for voxels, box, code in found)
    drawn_mm3 = drawn * float(np.prod(scan.spacing))
    stated_mm3 = sum(mark["volume"] for mark in marks)
    if not 1 / VOLUMES <= drawn_mm3 / stated_mm3 <= VOLUMES:
        what = f"finding {finding['number']} has {drawn_mm3:.0f} mm3 in the masks, and the table"
        fix = "fetch tables and masks again; volumes are in mm3"
        raise Misaligned(f"{what} says {stated_mm3:.0f}", where=scan.where, fix=fix)


def _check_place(
    scan: Volume,
    box: tuple[slice, ...],
    drawn: NDArray[np.bool_],
    place: NDArray[np.float64],
    finding: Mapping[str, Any],
) -> None:
    centre = np.argwhere(drawn).mean(axis=0) + [side.start for side in box]
    apart = float(np.linalg.norm((centre - place) * scan.spacing))
    if apart > diameter_mm(finding) / 2 + APART_MM:
        what = f"finding {finding['number']} lies {apart:.0f} mm from where the table says"
        raise Misaligned(what, where=scan.where, fix="fetch scan and masks again")
