"""What the mask of an infarct says: how much, in how many places, which side and levels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qoqdata.readers.volume import Volume, axis_codes

Side = Literal["Left", "Right", "Both"]
#: Of the 99th percentile of DWI, what is head and not air.
_HEAD = 0.15
#: Of the lesion, the largest share across the midline that is still one-sided, and the smallest
#: that makes it two-sided; and how far from the midline, in mm, the side of a voxel is certain.
_STRAY, _TWO_SIDED, _MARGIN_MM = 0.02, 0.1, 6.0
#: Of the largest area of a level, what is clearly to be seen.
_CLEAR = 0.5
#: Of the largest extent of the head over the levels, what is a level of the brain; and how many
#: levels away from a lesion none is to be seen.
_BRAIN, _AWAY = 0.4, 2


@dataclass(frozen=True, eq=False)
class Infarct:
    """The lesions of a case on its DWI grid, levels being voxel indices along `axis`.

    areas: lesion voxels of each level. lesions: for each 26-connected one, the levels it touches.
    head: voxels of each level that are head.
    """

    axis: int
    areas: np.ndarray
    head: np.ndarray
    lesions: tuple[frozenset[int], ...]
    millilitres: float
    side: Side | None

    @property
    def levels(self) -> list[int]:
        """Levels with a lesion, ascending."""
        return [int(level) for level in np.flatnonzero(self.areas)]

    def clear_levels(self) -> list[int]:
        """Levels on which at least half of the largest area is to be seen."""
        return [n for n in self.levels if self.areas[n] >= _CLEAR * self.areas.max()]

    def free_levels(self) -> list[int]:
        """Levels of the brain with no lesion on them or close by."""
        brain = np.flatnonzero(self.head >= _BRAIN * self.head.max())
        near = {level + step for level in self.levels for step in range(-_AWAY, _AWAY + 1)}
        return [int(level) for level in brain if level not in near]

    def all_touch(self, levels: Collection[int]) -> bool:
        """Whether every lesion is on at least one of `levels`."""
        return all(own & set(levels) for own in self.lesions)


def read_infarct(mask: Volume, dwi: Volume, axis: int) -> Infarct:
    """The infarct of a label volume and the DWI that it is drawn on, cut along `axis`."""
    from scipy import ndimage

    drawn = mask.voxels > 0
    others = tuple(n for n in range(3) if n != axis)
    labelled, count = ndimage.label(drawn, np.ones((3, 3, 3), bool))
    lesions = []
    for place, box in enumerate(ndimage.find_objects(labelled), start=1):
        span = box[axis]
        on_level = (labelled[box] == place).any(axis=others)
        lesions.append(frozenset(int(span.start + n) for n in np.flatnonzero(on_level)))
    assert len(lesions) == count
    head = dwi.voxels > _HEAD * np.percentile(dwi.voxels, 99)
    voxel_ml = abs(float(np.linalg.det(mask.affine[:3, :3]))) / 1000
    return Infarct(
        axis,
        drawn.sum(axis=others),
        head.sum(axis=others),
        tuple(lesions),
        float(drawn.sum()) * voxel_ml,
        _side(drawn, head, mask, axis),
    )


def _side(drawn: np.ndarray, head: np.ndarray, mask: Volume, axis: int) -> Side | None:
    """The patient's side; None without a lesion, or where it lies at the midline.

    The midline of a level is the middle of the head on it, so a tilted head has a tilted one.
    """
    codes = axis_codes(mask.affine)
    across = next(n for n, code in enumerate(codes) if code in "LR")
    if axis == across or not drawn.any():
        return None
    edge = mask.spacing[across] * (1 if codes[across] == "R" else -1)
    places = np.asarray(np.moveaxis(head, (axis, across), (0, 1)).any(axis=2))
    lesion = np.asarray(np.moveaxis(drawn, (axis, across), (0, 1)).sum(axis=2))
    right = left = 0.0
    for row, voxels in zip(places, lesion, strict=True):
        if not voxels.any() or not row.any():
            continue
        ends = np.flatnonzero(row)[[0, -1]]
        mm = (np.arange(len(row)) - ends.mean()) * edge
        right += voxels[mm > _MARGIN_MM].sum()
        left += voxels[mm < -_MARGIN_MM].sum()
    total = float(lesion.sum())
    low, high = sorted((right / total, left / total))
    if low >= _TWO_SIDED:
        return "Both"
    if low > _STRAY or high < 1 - _TWO_SIDED:
        return None
    return "Right" if right > left else "Left"
