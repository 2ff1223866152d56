"""What a file says about showing its modality values, frame by frame: VOI, polarity, padding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from qoqdata.readers.dicom import transforms
from qoqdata.readers.dicom.image_pixel import ImagePixel
from qoqdata.readers.dicom.windowing import Modality, Voi, Window, stored_values

BITS_RANGE = "no window: full range of the stored bits"


@dataclass(frozen=True)
class Presentation:
    """How one frame is shown by the file's own word.

    voi: its first VOI LUT, else its first window, else, when BitsStored is 8 or less, the range of
        the stored bits; None where only the values can tell a range.
    inverted: white and black swap after the VOI transform.
    padding: stored values, with both ends, that stand for no data and are black.
    notes: what was repaired about the VOI transform.
    """

    voi: Voi | None
    inverted: bool
    padding: tuple[float, float] | None
    notes: tuple[str, ...] = ()

    def through(self, window: Window | None) -> Presentation:
        """The same with a window from outside in place of the file's own; itself for None."""
        return self if window is None else replace(self, voi=window, notes=())


def presentations(
    dataset: Dataset,
    pixel: ImagePixel,
    modalities: Mapping[int, Modality],
    window: Window | None = None,
) -> tuple[dict[int, Presentation], tuple[str, ...]]:
    """The presentation of each 0-based frame in `modalities`, and what was repaired.

    With a `window` from outside the file's own is not looked at. Raises UnreadableFile when a
    window or table cannot be read.
    """
    padding = transforms.padding(dataset, pixel)
    inverted, repairs = transforms.inverted(dataset, pixel)
    if window is not None:
        return {frame: Presentation(window, inverted, padding) for frame in modalities}, repairs
    first = next(iter(modalities.values()))
    table = transforms.voi_lut(dataset, pixel, first)
    found = {}
    for frame in modalities:
        voi, notes = (table, ()) if table is not None else _voi(dataset, pixel, frame, first)
        found[frame] = Presentation(voi, inverted, padding, notes)
    return found, repairs


def _voi(
    dataset: Dataset, pixel: ImagePixel, frame: int, first: Modality
) -> tuple[Voi | None, tuple[str, ...]]:
    window, notes = transforms.window(dataset, frame)
    if window is not None or pixel.bits_stored > 8:
        return window, notes
    values = first(stored_values(*pixel.word))
    return (float(values.min()), float(values.max())), (*notes, BITS_RANGE)
