"""DICOM files as 8-bit images, modality values, volumes and segmentations."""

from __future__ import annotations

from qoqdata.readers.dicom.header import DicomHeader
from qoqdata.readers.dicom.image import DicomImage, read_dicom, read_windows
from qoqdata.readers.dicom.segmentation import (
    Segment,
    Segmentation,
    SegmentFrame,
    read_segmentation,
)
from qoqdata.readers.dicom.series import (
    Series,
    SeriesIds,
    SeriesOrder,
    group_series,
    read_series,
    read_series_order,
)
from qoqdata.readers.dicom.stack import Gap
from qoqdata.readers.dicom.values import read_values
from qoqdata.readers.dicom.windowing import CT_WINDOWS, Window

__all__ = [
    "CT_WINDOWS",
    "DicomImage",
    "Gap",
    "DicomHeader",
    "Segment",
    "SegmentFrame",
    "Segmentation",
    "Series",
    "SeriesIds",
    "SeriesOrder",
    "Window",
    "group_series",
    "read_dicom",
    "read_segmentation",
    "read_series",
    "read_series_order",
    "read_values",
    "read_windows",
]
