"""Grey frames as 8 bits: modality, VOI and presentation fused into one table per transform."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from qoqdata.readers.dicom import transforms
from qoqdata.readers.dicom.decode import StoredFrame
from qoqdata.readers.dicom.image_pixel import ImagePixel
from qoqdata.readers.dicom.presentation import presentations
from qoqdata.readers.dicom.windowing import Modality, Voi, Window, displayed, stored_values

VALUE_RANGE = "no window: full range of the values in the file, padding left out"


@dataclass(frozen=True)
class GreyTransform:
    """From stored values to grey: modality, VOI and polarity of one frame."""

    modality: Modality
    voi: Voi
    inverted: bool

    def __call__(self, samples: NDArray[Any]) -> NDArray[np.uint8]:
        """8-bit grey of stored values, in their shape."""
        return displayed(self.modality(samples), self.voi, inverted=self.inverted)


@dataclass(frozen=True)
class GreyPlan:
    """How each wanted frame, by index, becomes grey."""

    transforms: dict[int, GreyTransform]
    padding: tuple[float, float] | None
    repairs: tuple[str, ...]

    def window(self, index: int) -> Window | None:
        """The window that a frame is shown through, None for a table or a range."""
        voi = self.transforms[index].voi
        return voi if isinstance(voi, Window) else None


Frames = Callable[[Sequence[int]], Iterator[StoredFrame]]


def grey_plan(
    dataset: Dataset,
    pixel: ImagePixel,
    frames: Frames,
    indices: Sequence[int],
    window: Window | None,
) -> GreyPlan:
    """Choose the transforms of the frames `indices`.

    A given `window` goes before all. Without one: the file's first VOI LUT, else the first window
    of each frame, else a range. The range is that of the stored bits when BitsStored is 8 or
    less, and otherwise from the lowest to the highest modality value in all frames of the file,
    padding left out, so it does not depend on the frames asked for. `frames` decodes stored values;
    it is called only for such a range.
    """
    repairs: list[str] = []
    modalities = {}
    for index in indices:
        modalities[index], notes = transforms.modality(dataset, index, pixel)
        repairs += notes
    own, notes = presentations(dataset, pixel, modalities)
    shown = {index: one.through(window) for index, one in own.items()}
    repairs += notes
    padding = shown[indices[0]].padding
    vois: dict[int, Voi] = {}
    whole: tuple[float, float] | None = None
    for index in indices:
        voi = shown[index].voi
        repairs += shown[index].notes
        if voi is None:
            if whole is None:
                whole = _whole_range(dataset, pixel, frames, padding)
            voi = whole
            repairs.append(VALUE_RANGE)
        vois[index] = voi
    if len(set(vois.values())) > 1:
        repairs.append("windows differ between frames: each frame is shown with its own")
    return GreyPlan(
        transforms={
            index: GreyTransform(modalities[index], vois[index], shown[index].inverted)
            for index in indices
        },
        padding=padding,
        repairs=tuple(dict.fromkeys(repairs)),
    )


def grey_frames(
    pixel: ImagePixel, frames: Iterator[StoredFrame], plan: GreyPlan
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Index and 8-bit grey (rows, columns) of each stored frame, padding black."""
    for frame in frames:
        transform = plan.transforms[frame.index]
        if pixel.tabled:
            table = _grey_table(pixel.word, transform, plan.padding)
            yield frame.index, look_up(words(frame.values), table)
        else:
            yield frame.index, _wide_grey(pixel, frame, transform, plan.padding)


@lru_cache(maxsize=16)
def _grey_table(
    word: tuple[int, int, bool], transform: GreyTransform, padding: tuple[float, float] | None
) -> NDArray[np.uint8]:
    """Grey of every container word, padding black; read-only.

    Kept between calls: the files of a study share their transform. Bits above the stored ones
    change nothing but padding, so each stored value is transformed once.
    """
    bits, bits_stored, _ = word
    distinct = transform(stored_values(*word)[: 2**bits_stored])
    table = np.tile(distinct, 2 ** (bits - bits_stored))
    table[transforms.padded(word, padding)] = 0
    table.flags.writeable = False
    return table


def words(values: NDArray[Any]) -> NDArray[Any]:
    """Container words of 8 or 16 bits as unsigned numbers, without a copy."""
    return values.view(np.dtype(f"u{values.dtype.itemsize}"))


def look_up(index: NDArray[Any], table: NDArray[Any]) -> NDArray[Any]:
    """`table[index]` for an unsigned 8- or 16-bit image (rows, columns), a new array."""
    import cv2

    try:
        return np.asarray(cv2.LUT(index, table.reshape(1, -1)), table.dtype)
    except cv2.error:  # OpenCV before 5 has no tables for 16-bit images
        return np.take(table, index)


def whole_values(pixel: ImagePixel, values: NDArray[Any]) -> NDArray[Any]:
    """Stored values of a 32-bit image without the bits above BitsStored; floats as they are."""
    if pixel.floating or pixel.bits_stored == pixel.bits_allocated:
        return values
    value: NDArray[np.int64] = values.astype(np.int64) & (2**pixel.bits_stored - 1)
    if pixel.signed:
        value = np.where(value >= 2 ** (pixel.bits_stored - 1), value - 2**pixel.bits_stored, value)
    return value


def _wide_grey(
    pixel: ImagePixel,
    frame: StoredFrame,
    transform: GreyTransform,
    padding: tuple[float, float] | None,
) -> NDArray[np.uint8]:
    values = whole_values(pixel, frame.values)
    void = no_data(values, padding)
    image = transform(np.where(void, 0, values))
    image[void] = 0
    return image


def no_data(values: NDArray[Any], padding: tuple[float, float] | None) -> NDArray[np.bool_]:
    """Where stored values too wide for a table are padding, NaN or infinite; in their shape."""
    void: NDArray[np.bool_] = ~np.isfinite(values)
    if padding is not None:
        void |= (values >= padding[0]) & (values <= padding[1])
    return void


def _whole_range(
    dataset: Dataset,
    pixel: ImagePixel,
    frames: Frames,
    padding: tuple[float, float] | None,
) -> tuple[float, float]:
    """Lowest and highest modality value in all frames, padding left out."""
    low, high = np.inf, -np.inf
    is_padding = transforms.padded(pixel.word, padding) if pixel.tabled else None
    word_values = stored_values(*pixel.word) if pixel.tabled else None
    for frame in frames(range(pixel.frames)):
        if word_values is not None and is_padding is not None:
            present = _present(words(frame.values)) & ~is_padding
            samples: NDArray[Any] = word_values[present]
        else:
            samples = whole_values(pixel, frame.values)
            samples = samples[~no_data(samples, padding)]
        if samples.size:
            values = transforms.modality(dataset, frame.index, pixel)[0](samples)
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (low, high) if low <= high else (0.0, 0.0)


def _present(index: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Which of the 65536 words occur in a 16-bit image."""
    import cv2

    counts = cv2.calcHist([index], [0], None, [65536], [0, 65536])
    return np.asarray(counts).ravel() > 0
