"""What a converter says about a study, before the build adds ids, split, licence and provenance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from qoqdata.readers.dicom import Window


@dataclass(frozen=True)
class Image:
    """One stored image: encoded 8-bit bytes and how they came about.

    `original_width` and `original_height` are in raw pixels; `spacing` is in mm between stored
    pixel centres (row, column and, for slices, through plane); `index` counts raw slices or
    frames from 0.
    """

    data: bytes
    extension: Literal["jpg", "png"]
    width: int
    height: int
    original_width: int
    original_height: int
    view: str | None = None
    laterality: str | None = None
    window: Window | None = None
    index: int | None = None
    spacing: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Ecg:
    """`signal`: float32 mV (lead, sample); `valid`: bool of the same shape; `fs` in Hz."""

    leads: tuple[str, ...]
    fs: float
    signal: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Region:
    """A box in stored pixels of image `image`; pixel i spans [i, i + 1]."""

    label: str
    image: int
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    area: float | None = None
    reader: str | None = None


@dataclass(frozen=True)
class Record:
    """One question about one study. None means absent; an empty tuple is a value.

    `masks` are PNG label maps aligned with `images`. `study` defaults to the unit's key. `notes`
    are repairs and choices that belong into the provenance.
    """

    task: str
    question: str
    answer: str
    options: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None
    uncertain: tuple[str, ...] | None = None
    images: tuple[Image, ...] | None = None
    ecg: Ecg | None = None
    regions: tuple[Region, ...] | None = None
    masks: tuple[bytes | None, ...] | None = None
    context: str | None = None
    age: int | None = None
    sex: str | None = None
    study: str | None = None
    notes: tuple[str, ...] = ()
