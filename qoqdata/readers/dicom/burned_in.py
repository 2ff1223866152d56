"""What a header says of text burned into its pixels, as coded notes."""

from __future__ import annotations

from pydicom.dataset import Dataset

from qoqdata.errors import UnreadableFile
from qoqdata.readers.dicom import elements

#: The header's own word: BurnedInAnnotation (0028,0301) is YES.
STATED = "burned-in annotation: YES"
#: A screen, a print or a document was captured, which shows what stood on it.
CAPTURED = "secondary capture"
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def burned_in_notes(dataset: Dataset) -> tuple[str, ...]:
    """STATED and CAPTURED, where they hold. A NO is no evidence: devices write it by default."""
    class_uid = _quiet(dataset, "SOPClassUID") or ""
    captured = f"{class_uid}.".startswith(f"{_SECONDARY_CAPTURE}.")
    captured = captured or _quiet(dataset, "ConversionType") is not None
    stated = _quiet(dataset, "BurnedInAnnotation") == "YES"
    return (STATED,) * stated + (CAPTURED,) * captured


def _quiet(dataset: Dataset, keyword: str) -> str | None:
    try:
        content = elements.text(dataset, keyword)
    except UnreadableFile:
        return None
    return None if content is None else content.strip().upper()
