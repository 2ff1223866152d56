"""Whether the values of a CT can be Hounsfield units.

A wrong PixelRepresentation, swapped bytes or a broken codec leave a legal file whose values no
scanner measures. Real scanners do write values far outside of tissue: padding of one value (-2000,
-3024, -32768), undershoot beside metal, metal itself up to about 30,000 on the extended scale. So
what counts is how many pixels lie outside, and whether they are one value or many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from qoqdata.readers.dicom import elements, transforms
from qoqdata.readers.dicom.functional_groups import holder
from qoqdata.readers.dicom.image_pixel import ImagePixel
from qoqdata.readers.dicom.windowing import stored_values

_MACRO = "PixelValueTransformationSequence"
# Below the first only padding of one value lies (a lossy codec spreads -3024 over hundreds), above
# the second only metal, above the third nothing.
LOWEST, HIGHEST, _NO_SCALE = -4000, 10_000, 33_000
_MANY, _SOME = 0.05, 0.001
# Shares that make the other sign worth a look: bone that wrapped below air, air above dense bone.
_BELOW_AIR, _DENSE = -1100, 2500
_A_LITTLE, _MUCH = 0.001, 0.15
# A value that makes up so much of what lies outside is padding, not a measurement; a lossy codec
# spreads it.
_ONE_VALUE, _CODEC_NOISE = 0.2, 128


@dataclass(frozen=True)
class HounsfieldShares:
    """Shares of the pixels of a frame outside of what CT measures, without padding; both ends."""

    below: float
    above: float
    beyond: float
    below_air: float
    dense: float
    low: float
    high: float

    @property
    def impossible(self) -> bool:
        """No scanner gives such values."""
        return self.below > _MANY or self.above > _MANY or self.beyond > _SOME

    @property
    def suspicious(self) -> bool:
        """Legal, and what a wrong sign makes of bone or of air."""
        return self.impossible or self.below_air > _A_LITTLE or self.dense > _MUCH


def in_hounsfield(dataset: Dataset, frame: int) -> bool:
    """Whether the modality values of a 0-based frame are stated to be HU: a CT with a rescale.

    RescaleType is HU or absent, which means HU for CT (PS3.3 C.8.2.1, C.11.1.1.2).
    """
    if elements.code_string(dataset, "Modality") != "CT" or "ModalityLUTSequence" in dataset:
        return False
    item = holder(dataset, frame, _MACRO, "RescaleIntercept")
    if elements.number(item, "RescaleIntercept") is None:
        return False
    return (elements.code_string(item, "RescaleType") or "HU").startswith("HU")


def shares(
    dataset: Dataset, pixel: ImagePixel, frame: int, values: NDArray[Any]
) -> HounsfieldShares:
    """What share of the stored `values` (rows, columns) of a 0-based frame no CT measures."""
    import cv2

    words, size = values.view(f"u{values.dtype.itemsize}"), 2**pixel.word_bits
    low, high = (int(end) for end in cv2.minMaxLoc(words)[:2])
    counts = np.zeros(size, np.float32)
    # Faster than NumPy's, most of all over few bins; float32 counts are exact to 16 million pixels.
    counts[low : high + 1] = cv2.calcHist(
        [words], [0], None, [high - low + 1], [low, high + 1]
    ).ravel()
    padded = transforms.padded(pixel.word, transforms.padding(dataset, pixel))
    # Of bools 20 times faster than of numbers.
    present = np.flatnonzero((counts > 0) & ~padded)
    number = counts[present]
    units = transforms.modality(dataset, frame, pixel)[0](stored_values(*pixel.word)[present])
    total = max(1, int(number.sum()))

    def share(outside: NDArray[np.bool_], width: float | None = None) -> float:
        """Of all pixels, those outside; with a `width`, without those crowded so closely."""
        inside = number[outside]
        if width is not None and inside.size:
            bins = np.unique(np.floor(units[outside] / width), return_inverse=True)[1]
            inside = np.bincount(bins.ravel(), weights=inside)
            inside = inside[inside < _ONE_VALUE * inside.sum()]
        return float(inside.sum() / total)

    return HounsfieldShares(
        below=share(units < LOWEST, _CODEC_NOISE),
        above=share(units > HIGHEST),
        beyond=share(units > _NO_SCALE),
        below_air=share(units < _BELOW_AIR, 1),
        dense=share(units > _DENSE, 1),
        low=float(units.min(initial=0)),
        high=float(units.max(initial=0)),
    )
