"""What a file says about showing its modality values, frame by frame: VOI, polarity, padding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pydicom.dataset import Dataset

from qoqdata.errors import UnreadableFile
from qoqdata.readers.dicom import transforms
from qoqdata.readers.dicom.image_pixel import ImagePixel
from qoqdata.readers.dicom.windowing import Modality, Voi, Window, stored_values

BITS_RANGE = "no window: full range of the stored bits"
LOSSY_PADDING = "PixelPaddingValue is one value, the codec is lossy: not applied"


@dataclass(frozen=True)
class Presentation:
    """How one frame is shown by the file's own word.

    voi: its first VOI LUT, else its first window, else, when BitsStored is 8 or less, the range of
        the stored bits; None where only the values can tell a range.
    inverted: white and black swap after the VOI transform.
    padding: stored values, with both ends, that stand for no data and are black.
    notes: what was repaired about the VOI transform.
    fault: why the file's VOI transform cannot be read; only a window from outside helps then.
    """

    voi: Voi | None
    inverted: bool
    padding: tuple[float, float] | None
    notes: tuple[str, ...] = ()
    fault: UnreadableFile | None = None

    def through(self, window: Window | None) -> Presentation:
        """The same with a window from outside in place of the file's own; itself for None.

        Raises UnreadableFile for None when the file's own cannot be read.
        """
        if window is not None:
            return replace(self, voi=window, notes=(), fault=None)
        if self.fault is not None:
            raise self.fault
        return self


def presentations(
    dataset: Dataset, pixel: ImagePixel, modalities: Mapping[int, Modality]
) -> tuple[dict[int, Presentation], tuple[str, ...]]:
    """The presentation of each 0-based frame in `modalities`, and what was repaired."""
    padding = transforms.padding(dataset, pixel)
    inverted, repairs = transforms.inverted(dataset, pixel)
    if padding is None and "PixelPaddingValue" in dataset:
        repairs = (LOSSY_PADDING, *repairs)
    first = next(iter(modalities.values()))
    plain = Presentation(None, inverted, padding)
    try:
        table = transforms.voi_lut(dataset, pixel, first)
    except UnreadableFile as fault:
        return dict.fromkeys(modalities, replace(plain, fault=fault)), repairs
    found = {}
    for frame in modalities:
        try:
            voi, notes = (table, ()) if table is not None else _voi(dataset, pixel, frame, first)
            found[frame] = replace(plain, voi=voi, notes=notes)
        except UnreadableFile as fault:
            found[frame] = replace(plain, fault=fault)
    return found, repairs


def _voi(
    dataset: Dataset, pixel: ImagePixel, frame: int, first: Modality
) -> tuple[Voi | None, tuple[str, ...]]:
    window, notes = transforms.window(dataset, frame)
    if window is not None or pixel.bits_stored > 8:
        return window, notes
    values = first(stored_values(*pixel.word))
    return (float(values.min()), float(values.max())), (*notes, BITS_RANGE)
