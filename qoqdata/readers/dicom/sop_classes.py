"""What the SOP class of an object says that its modality does not (PS3.4 B.5)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from qoqdata.readers.dicom import elements

_STORAGE = "1.2.840.10008.5.1.4.1.1."
#: X-ray angiography and radiofluoroscopy, classic (biplane too) and enhanced.
ANGIOGRAPHY = frozenset(_STORAGE + end for end in ("12.1", "12.1.1", "12.2", "12.2.1", "12.3"))
_NO_PICTURES = {
    "66": "raw data",
    "66.1": "a spatial registration",
    "66.2": "a fiducial",
    "66.3": "a deformable registration",
    "66.4": "a segmentation",
    "66.5": "a surface segmentation",
    "66.6": "a tractography result",
    "66.7": "a label map segmentation",
    "66.8": "a height map segmentation",
    "30": "a parametric map",
    "4.2": "MR spectroscopy",
    "67": "a mapping of values",
    "481.2": "a radiotherapy dose grid",
    "481.3": "a radiotherapy structure set",
    "77.1.5.8": "an analysis of OCT scans",
    "77.1.6": "tiles of a whole slide",
    "77.1.9": "tiles of a confocal pyramid",
    "81.1": "an ophthalmic thickness map",
    "82.1": "a corneal topography map",
}
# Attributes that only such objects have, whatever class and modality they claim.
_TELLTALE = {
    "SegmentSequence": "a segmentation",
    "DoseGridScaling": "a radiotherapy dose grid",
    "TotalPixelMatrixColumns": "tiles of a whole slide",
}


def no_picture(dataset: Dataset) -> str | None:
    """What an object is whose pixels are neither a picture of a patient nor frames in time.

    None for pictures. Its SOP class tells, and attributes that no picture has.
    """
    for keyword, what in _TELLTALE.items():
        if keyword in dataset:
            return what
    uid = sop_class(dataset) or ""
    return _NO_PICTURES.get(uid.removeprefix(_STORAGE)) if uid.startswith(_STORAGE) else None


def sop_class(dataset: Dataset) -> str | None:
    """The SOP class UID of the dataset, else that of its file meta information; None without."""
    named = elements.text(dataset, "SOPClassUID")
    meta = getattr(dataset, "file_meta", None)
    if named is None and meta is not None:
        return elements.text(meta, "MediaStorageSOPClassUID")
    return named
