"""The identifiers of a DICOM header (PS3.15 E.1 has them removed), noted and never given on."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from qoqdata.errors import UnreadableFile
from qoqdata.readers import identifiers
from qoqdata.readers.dicom import elements

_PERSONS = ("PatientID", "OtherPatientIDs", "AccessionNumber", "AdmissionID", "StudyID")
_OBJECTS = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "FrameOfReferenceUID",
    "RequestedProcedureID",
    "PerformedProcedureStepID",
    "ScheduledProcedureStepID",
)


def note(dataset: Dataset) -> None:
    """Note the identifiers of a parsed object where they are collected."""
    if identifiers.are_taken():
        identifiers.note_identifiers(
            persons=[*_values(dataset, _PERSONS), *_names(dataset)],
            objects=_values(dataset, _OBJECTS),
        )


def _values(dataset: Dataset, keywords: tuple[str, ...]) -> Iterator[str]:
    for keyword in keywords:
        try:
            content = elements.value(dataset, keyword)
        except UnreadableFile:
            continue
        several = content if isinstance(content, list | tuple | MultiValue) else (content,)
        for one in several:
            if one is not None and (text := str(one).strip(" \0")):
                yield text


def _names(dataset: Dataset) -> Iterator[str]:
    """A name of several parts, as it stands and as it is spoken; one word alone is no key."""
    for text in _values(dataset, ("PatientName",)):
        for group in text.split("="):
            family, *given = [part.strip() for part in group.split("^") if part.strip()] or [""]
            if given:
                yield f"{family} {given[0]}"
                yield f"{given[0]} {family}"
