"""Where pixels lie: spacing, aspect and the plane of a frame in the patient (PS3.3 C.7.6.2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from qoqdata.errors import UnreadableFile
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.functional_groups import holder

# How far the two direction cosines may be from unit length and a right angle.
_COSINE_TOLERANCE = 1e-2
# Pixels between an atom and a mountain, positions within a kilometre of the origin: in mm.
_SMALLEST, _LARGEST, _FARTHEST = 1e-7, 1e6, 1e6
# Magnification views of the breast are up to 2 times as large as life.
_MOST_MAGNIFIED = 10


@dataclass(frozen=True)
class ImagePlane:
    """One image plane in patient coordinates (LPS, mm).

    `position` is the centre of the first pixel; `row` points along a row (rising column index),
    `column` down a column (rising row index); both have length 1. `spacing` is (between rows,
    between columns).
    """

    position: tuple[float, float, float]
    row: tuple[float, float, float]
    column: tuple[float, float, float]
    spacing: tuple[float, float]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector row x column."""
        normal = np.cross(self.row, self.column)
        return normal / np.linalg.norm(normal)


def pixel_spacing(dataset: Dataset, frame: int) -> tuple[tuple[float, float], str] | None:
    """((between rows, between columns) in mm, element that gives it) of a 0-based frame, or None.

    PixelSpacing, of the frame's PixelMeasures if there are any, else ImagerPixelSpacing, which
    is measured at the detector, over EstimatedRadiographicMagnificationFactor, which brings it to
    the patient (PS3.3 10.7.1.3). What is not two sizes of a pixel counts as absent.
    """
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        item = holder(dataset, frame, "PixelMeasuresSequence", keyword)
        try:
            values = elements.numbers(item, keyword)
        except UnreadableFile:
            continue
        if values is None or len(values) != 2:
            continue
        if min(values) > _SMALLEST and max(values) < _LARGEST:
            factor = _magnification(dataset) if keyword == "ImagerPixelSpacing" else 1.0
            return (values[0] / factor, values[1] / factor), keyword
    return None


def _magnification(dataset: Dataset) -> float:
    """How much larger a projection shows the patient; 1.0 where that is not said, or absurd."""
    try:
        values = elements.numbers(dataset, "EstimatedRadiographicMagnificationFactor")
    except UnreadableFile:
        return 1.0
    return values[0] if values and 1 <= values[0] <= _MOST_MAGNIFIED else 1.0


def pixel_aspect(dataset: Dataset, spacing: tuple[float, float] | None) -> float:
    """Height of a stored pixel over its width: of the spacing, else PixelAspectRatio, else 1.0."""
    if spacing is not None:
        return spacing[0] / spacing[1]
    try:
        ratio = elements.numbers(dataset, "PixelAspectRatio")
    except UnreadableFile:
        return 1.0
    if ratio is None or len(ratio) != 2 or min(ratio) <= 0:
        return 1.0
    return ratio[0] / ratio[1]


def plane(dataset: Dataset, frame: int) -> ImagePlane:
    """The plane of a 0-based frame. Raises UnreadableFile when it is absent or makes no sense."""
    position_item = holder(dataset, frame, "PlanePositionSequence", "ImagePositionPatient")
    orientation_item = holder(dataset, frame, "PlaneOrientationSequence", "ImageOrientationPatient")
    position = elements.numbers(position_item, "ImagePositionPatient")
    orientation = elements.numbers(orientation_item, "ImageOrientationPatient")
    if position is None or len(position) != 3 or np.abs(position).max() > _FARTHEST:
        raise UnreadableFile("ImagePositionPatient is missing or absurd, no place for the slice")
    if orientation is None or len(orientation) != 6:
        raise UnreadableFile("ImageOrientationPatient is missing, no place for the slice")
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    if np.abs(lengths - 1).max() > _COSINE_TOLERANCE or abs(row @ column) > _COSINE_TOLERANCE:
        raise UnreadableFile("ImageOrientationPatient is not two unit vectors at a right angle")
    spacing = pixel_spacing(dataset, frame)
    if spacing is None or spacing[1] != "PixelSpacing":
        raise UnreadableFile("PixelSpacing is missing, no place for the slice")
    row, column = row / lengths[0], column / lengths[1]
    return ImagePlane(
        position=(position[0], position[1], position[2]),
        row=(float(row[0]), float(row[1]), float(row[2])),
        column=(float(column[0]), float(column[1]), float(column[2])),
        spacing=spacing[0],
    )
