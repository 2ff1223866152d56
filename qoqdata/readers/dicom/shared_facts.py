"""What all files of a series share: of whom they are, and how their slices lie."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from qoqdata.readers.dicom.header import DicomHeader

#: Two orientations closer than this, in each direction cosine, may be one stack's.
_DIRECTION = 1e-2
#: The same for the two spacings, relative.
_SPACING = 2e-3


@dataclass(frozen=True)
class SharedFact:
    """Something that all slices of a stack share; `label` tells its value in a key."""

    name: str
    value: Callable[[str, DicomHeader], Any]
    label: Callable[[Any], str] = str
    same: Callable[[Any, Any], bool] | None = None
    #: Whether a file that does not say may be taken for one of the others, with a note.
    told: bool = False
    #: Whether a value of its own in every file means that the files were badly anonymised.
    shared: bool = False


def folder_of(path: str) -> str:
    """The folder of a path, `.` for none."""
    return path.replace("\\", "/").rpartition("/")[0] or "."


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:12]


def _near(one: Sequence[float], two: Sequence[float]) -> bool:
    return all(abs(a - b) <= _DIRECTION for a, b in zip(one, two, strict=True))


def _near_spacing(one: Sequence[float], two: Sequence[float]) -> bool:
    return all(abs(a - b) <= _SPACING * max(a, b) for a, b in zip(one, two, strict=True))


def _size(path: str, header: DicomHeader) -> tuple[int, int] | None:
    if header.rows is None or header.columns is None:
        return None
    return header.rows, header.columns


#: Where no series is named, a folder is the next best.
FOLDER = SharedFact("folder", lambda path, header: folder_of(path))
#: In the order in which files are told apart.
IDENTITY = (
    SharedFact("patient", lambda path, header: header.patient_id, _digest, told=True),
    SharedFact("study", lambda path, header: header.study_instance_uid, told=True),
    SharedFact("sex", lambda path, header: header.sex),
    SharedFact(
        "frame of reference",
        lambda path, header: header.frame_of_reference_uid,
        told=True,
        shared=True,
    ),
    SharedFact("modality", lambda path, header: header.modality),
    SharedFact("size", _size, lambda value: f"{value[0]}x{value[1]}"),
    # Tolerance and digits belong together: values that are not near have labels that differ.
    SharedFact(
        "orientation",
        lambda path, header: header.acquisition.orientation,
        lambda value: ",".join(f"{round(one, 2) + 0.0:g}" for one in value),
        _near,
    ),
    SharedFact(
        "spacing",
        lambda path, header: header.spacing,
        lambda value: "x".join(f"{one:.4g}" for one in value),
        _near_spacing,
    ),
)
