"""What a dataset says about its greys: modality, VOI, presentation and padding, frame by frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from qoqdata.errors import UnreadableFile
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.functional_groups import holder
from qoqdata.readers.dicom.image_pixel import ImagePixel
from qoqdata.readers.dicom.lookup import lut
from qoqdata.readers.dicom.sop_classes import ANGIOGRAPHY, sop_class
from qoqdata.readers.dicom.windowing import FUNCTIONS, Lut, Modality, Window, stored_values

_ABSURD = 1e15
_PADDING = {
    "PixelData": ("PixelPaddingValue", "PixelPaddingRangeLimit"),
    "FloatPixelData": ("FloatPixelPaddingValue", "FloatPixelPaddingRangeLimit"),
    "DoubleFloatPixelData": ("DoubleFloatPixelPaddingValue", "DoubleFloatPixelPaddingRangeLimit"),
}


def modality(dataset: Dataset, frame: int, pixel: ImagePixel) -> tuple[Modality, tuple[str, ...]]:
    """How the stored values of a 0-based frame become modality values, and what was repaired.

    The Modality LUT sequence, else the frame's own rescale, else the shared one, else the one at
    the root, else identity (PS3.3 C.11.1, C.7.6.16.2.9). The sequence of an X-ray angiogram leads
    back to the intensity of the beam and is not for display (PS3.17 FFF.2.3.1.3.4): it is left out
    and told. Raises UnreadableFile for a slope of 0.
    """
    item = elements.item(dataset, "ModalityLUTSequence")
    notes: tuple[str, ...] = ()
    if item is not None and sop_class(dataset) in ANGIOGRAPHY:
        item, notes = None, ("the Modality LUT of an angiogram is not for display: not applied",)
    if item is not None and not pixel.floating:
        little = pixel.transfer_syntax.is_little_endian
        return Modality(lut=lut(item, negative=pixel.signed, little=little)), ()
    item = holder(dataset, frame, "PixelValueTransformationSequence", "RescaleSlope")
    slope, intercept = (
        elements.number(item, "RescaleSlope"),
        elements.number(item, "RescaleIntercept"),
    )
    if max(abs(slope or 0.0), abs(intercept or 0.0)) > _ABSURD:
        raise UnreadableFile("RescaleSlope or RescaleIntercept is beyond any unit")
    if slope == 0:
        raise UnreadableFile("RescaleSlope is 0, all pixels would be the same")
    if (slope is None) == (intercept is None):
        return Modality(1.0 if slope is None else slope, intercept or 0.0), notes
    note = "half a rescale: the missing slope is read as 1, the missing intercept as 0"
    return Modality(1.0 if slope is None else slope, intercept or 0.0), (*notes, note)


def voi_lut(dataset: Dataset, pixel: ImagePixel, first: Modality) -> Lut | None:
    """The first VOI LUT of the file (PS3.3 C.11.2.1.1), or None; `first` tells the input's sign."""
    item = elements.item(dataset, "VOILUTSequence")
    if item is None or pixel.floating:
        return None
    lowest = first(_stored_extremes(pixel)).min() if first.lut is None else 0
    return lut(item, negative=bool(lowest < 0), little=pixel.transfer_syntax.is_little_endian)


def window(dataset: Dataset, frame: int) -> tuple[Window | None, tuple[str, ...]]:
    """The first window that the file gives for a 0-based frame, or None, and what was repaired.

    A width that its function does not allow is not used: LINEAR below 1 is read as LINEAR_EXACT,
    0 or less as no window. Raises UnreadableFile when the numbers cannot be read.
    """
    item = holder(dataset, frame, "FrameVOILUTSequence", "WindowCenter")
    centre, width = elements.number(item, "WindowCenter"), elements.number(item, "WindowWidth")
    if centre is None or width is None:
        return None, ()
    if max(abs(centre), abs(width)) > _ABSURD:
        raise UnreadableFile("WindowCenter or WindowWidth is beyond any unit")
    if width <= 0:
        return None, ("window width of 0 or less: the window is not used",)
    name = elements.code_string(item, "VOILUTFunction")
    function = name if name in FUNCTIONS else "LINEAR"
    repairs = () if name in (None, function) else ("unknown VOI LUT function: read as LINEAR",)
    if function == "LINEAR" and width < 1:
        return Window(centre, width, "LINEAR_EXACT"), (
            *repairs,
            "LINEAR window narrower than 1: read as LINEAR_EXACT",
        )
    return Window(centre, width, function), repairs


def inverted(dataset: Dataset, pixel: ImagePixel) -> tuple[bool, tuple[str, ...]]:
    """Whether white and black swap after the VOI transform, and what was repaired.

    MONOCHROME1 and PresentationLUTShape INVERSE (PS3.3 C.7.6.3.1.2, C.11.6) each ask for one
    inversion; together they ask for the same one. MONOCHROME1 with IDENTITY contradicts itself.
    It is known from radiographs whose MONOCHROME1 is the truth, and is inverted.
    """
    shape = elements.code_string(dataset, "PresentationLUTShape")
    first = pixel.photometric == "MONOCHROME1"
    if first and shape == "IDENTITY":
        return True, ("MONOCHROME1 with PresentationLUTShape IDENTITY: inverted",)
    return first or shape == "INVERSE", ()


def padding(dataset: Dataset, pixel: ImagePixel) -> tuple[float, float] | None:
    """The stored values that stand for no data, a range with both ends (PS3.3 C.7.5.1.1.2).

    None for a single value in a lossy codestream: the codec spreads it, and where what it stands
    for meets the same value by chance, single pixels and stripes of them would go black.
    """
    value_keyword, limit_keyword = _PADDING[pixel.keyword]
    value = elements.number(dataset, value_keyword)
    if value is None:
        return None
    limit = elements.number(dataset, limit_keyword)
    if pixel.lossy and limit in (None, value):
        return None
    ends = [value, value if limit is None else limit]
    if not pixel.floating:
        # The VR may be US or SS, and writers choose the wrong one: take the bits.
        span = 2**pixel.word_bits
        ends = [end % span for end in ends]
        if pixel.signed:
            ends = [end - span if end >= span / 2 else end for end in ends]
    return min(ends), max(ends)


def padded(word: tuple[int, int, bool], ends: tuple[float, float] | None) -> NDArray[np.bool_]:
    """Which of the container words `ImagePixel.word` are padding, shape (2 ** allocated,).

    A word counts when its stored bits or the whole word lie in the range: padding often sits in
    bits above BitsStored.
    """
    bits, _, signed = word
    if ends is None:
        return np.zeros(2**bits, np.bool_)
    low, high = ends
    values = stored_values(*word)
    whole = stored_values(bits, bits, signed)
    return ((values >= low) & (values <= high)) | ((whole >= low) & (whole <= high))


def _stored_extremes(pixel: ImagePixel) -> NDArray[np.float64]:
    if pixel.signed:
        half = 2.0 ** (pixel.bits_stored - 1)
        return np.array([-half, half - 1])
    return np.array([0.0, 2.0**pixel.bits_stored - 1])
