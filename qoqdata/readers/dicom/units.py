"""What modality values are in, and whether that is Hounsfield units, as named CT windows need."""

from __future__ import annotations

from pydicom.dataset import Dataset

from qoqdata.errors import InputError
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.functional_groups import holder

#: DICOM's defined term for an unspecified unit (PS3.3 C.11.1.1.2).
UNSPECIFIED = "US"
_MACRO = "PixelValueTransformationSequence"


def has_rescale(dataset: Dataset, frame: int) -> bool:
    """Whether a 0-based frame has the slope and intercept, or the table, of its modality values."""
    return not _missing(dataset, frame)


def modality_unit(dataset: Dataset, frame: int) -> str:
    """The unit of the modality values of a 0-based frame; UNSPECIFIED where the file is silent.

    That of the Modality LUT, of PET's Units, or of RescaleType, which for CT is HU unless the file
    says otherwise. Stored values alone have none.
    """
    table = elements.item(dataset, "ModalityLUTSequence")
    if table is not None:
        return elements.code_string(table, "ModalityLUTType") or UNSPECIFIED
    if _missing(dataset, frame):
        return UNSPECIFIED
    modality = elements.code_string(dataset, "Modality")
    if modality == "PT":
        return elements.code_string(dataset, "Units") or UNSPECIFIED
    unit = elements.code_string(holder(dataset, frame, _MACRO, "RescaleType"), "RescaleType")
    return unit or ("HU" if modality == "CT" else UNSPECIFIED)


def not_hounsfield(dataset: Dataset, frame: int) -> str | None:
    """Why the modality values of a 0-based frame are not in HU; None when they are.

    They are in a CT object with slope and intercept, both required there (PS3.3 C.8.2.1), or with
    a Modality LUT, whose unit is HU.
    """
    modality = elements.code_string(dataset, "Modality")
    if modality != "CT":
        return f"the modality is {modality}"
    if missing := _missing(dataset, frame):
        return f"the file has no {' and no '.join(missing)}"
    unit = modality_unit(dataset, frame)
    return None if unit == "HU" else f"their unit is {unit}"


def refuse_window(name: str, reason: str) -> InputError:
    """The error for the named CT window `name` on values that `reason` says are not in HU."""
    what = f"the CT window {name!r} was asked for, but the values are not in Hounsfield units"
    fix = "give the window as [centre, width] in the units of the file, or leave it out"
    return InputError(f"{what}: {reason}", fix=fix)


def _missing(dataset: Dataset, frame: int) -> list[str]:
    if elements.item(dataset, "ModalityLUTSequence") is not None:
        return []
    return [
        keyword
        for keyword in ("RescaleSlope", "RescaleIntercept")
        if elements.number(holder(dataset, frame, _MACRO, keyword), keyword) is None
    ]
