"""What a converter says about a study, before the build adds ids, split, licence and provenance.

Pixels are arrays here, at the size the reader gave. How they are encoded, and how large, is the
build's storage policy (`qoqdata.records.storage`), which boxes, masks and spacing follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from qoqdata.readers.dicom import Window


@dataclass(frozen=True, eq=False)
class Image:
    """One image: uint8 pixels, (rows, columns) grey or (rows, columns, 3) RGB.

    `encoded` are the bytes of a JPEG or PNG file that show exactly these pixels and nothing else,
    where they may be kept. `original_width` and `original_height` are in raw pixels, by default
    those of `pixels`; `spacing` is in mm between centres of `pixels` (row, column and, for slices,
    through plane); `index` counts raw slices or frames from 0. `turn` is the Exif orientation from
    which the pixels were brought upright: what was drawn on the raw ones lies otherwise on them
    (`boxes.turned`); the original size is that of the upright image.
    """

    pixels: np.ndarray
    encoded: bytes | None = None
    original_width: int | None = None
    original_height: int | None = None
    view: str | None = None
    laterality: str | None = None
    window: Window | None = None
    index: int | None = None
    spacing: tuple[float, ...] | None = None
    turn: int = 1

    @property
    def width(self) -> int:
        """Columns of `pixels`."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows of `pixels`."""
        return int(self.pixels.shape[0])


@dataclass(frozen=True, eq=False)
class Mask:
    """A label map: uint8 or uint16 codes, (rows, columns) as its image's; 0 is background.

    `image` counts the record's images (or, where it has none, its canvases). An image may have
    several masks: of several readers, or of instances that overlap.
    """

    codes: np.ndarray
    image: int = 0
    reader: str | None = None
    instance: int | None = None


@dataclass(frozen=True)
class Ecg:
    """`signal`: float32 mV (lead, sample); `valid`: bool of the same shape; `fs` in Hz."""

    leads: tuple[str, ...]
    fs: float
    signal: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Region:
    """A box in pixels of image `image`; pixel i spans [i, i + 1].

    `role`: a target is to be found; a given one is part of the question.
    """

    label: str
    image: int
    x_min: float
    y_min: float
    x_max: float
    y_max: float
    area: float | None = None
    reader: str | None = None
    role: str = "target"


@dataclass(frozen=True)
class Number:
    """The answer to a number task: value and tolerance in `unit` (a UCUM code).

    Of an ordinal task the value is the place of its option, from 0, and the unit is None.
    """

    value: float
    unit: str | None = None
    tolerance: float = 0.0


@dataclass(frozen=True)
class Record:
    """One question about one study. None means absent; an empty tuple is a value.

    `forms` are wordings of the same question, of which the record's id picks one. `item` tells
    several questions of one task about one study apart. `study` defaults to the unit's key,
    `domain` to the card's. `notes` are repairs and choices that belong into the provenance. Images
    and masks that several records of a unit share are best the same objects: they are encoded once.
    """

    task: str
    kind: str
    forms: tuple[str, ...]
    answer: str
    item: str | None = None
    options: tuple[str, ...] | None = None
    number: Number | None = None
    labels: tuple[str, ...] | None = None
    uncertain: tuple[str, ...] | None = None
    absent: tuple[str, ...] | None = None
    images: tuple[Image, ...] | None = None
    ecg: Ecg | None = None
    regions: tuple[Region, ...] | None = None
    masks: tuple[Mask, ...] | None = None
    context: str | None = None
    age: int | None = None
    sex: str | None = None
    study: str | None = None
    domain: str | None = None
    notes: tuple[str, ...] = ()
