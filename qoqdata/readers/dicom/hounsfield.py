"""Whether modality values are in Hounsfield units, as named CT windows need them."""

from __future__ import annotations

from pydicom.dataset import Dataset

from qoqdata.errors import InputError
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.functional_groups import holder

_REST = "give the window as [centre, width] in the units of the file, or leave it out"


def not_hounsfield(dataset: Dataset, frame: int) -> str | None:
    """Why the modality values of a 0-based frame are not in HU; None when the file says they are.

    They are in a CT object whose rescale (slope and intercept, both required there) or Modality LUT
    has no other type than HU (PS3.3 C.8.2.1, C.11.1). Stored values alone never are.
    """
    modality = elements.code_string(dataset, "Modality")
    if modality != "CT":
        return f"the modality is {modality}"
    table = elements.item(dataset, "ModalityLUTSequence")
    if table is not None:
        unit = elements.text(table, "ModalityLUTType") or "not stated"
        return None if unit == "HU" else f"the unit of the Modality LUT is {unit}"
    macro = "PixelValueTransformationSequence"
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        if elements.number(holder(dataset, frame, macro, keyword), keyword) is None:
            return f"the file has no {keyword}"
    unit = elements.code_string(holder(dataset, frame, macro, "RescaleType"), "RescaleType") or "HU"
    return None if unit == "HU" else f"RescaleType is {unit}"


def refuse_window(name: str, reason: str) -> InputError:
    """The error for the named CT window `name` on values that `reason` says are not in HU."""
    what = f"the CT window {name!r} was asked for, but the values are not in Hounsfield units"
    return InputError(f"{what}: {reason}", fix=_REST)
