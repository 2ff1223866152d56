"""The facts that a header may give: never names or dates.

What belongs to be a code (`defined_terms`) is left out where it is none; `free_text_notes` says so.
The raw identifiers are here because the caller hashes them, and the description of the series,
which is free text, to join by; neither is to be stored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from pydicom.dataset import Dataset

from qoqdata.errors import UnreadableFile
from qoqdata.person import read_age, read_sex
from qoqdata.readers.dicom import defined_terms, elements
from qoqdata.readers.dicom.acquisition import Acquisition, acquisition
from qoqdata.readers.dicom.dataset import located, open_dataset
from qoqdata.readers.dicom.functional_groups import group
from qoqdata.readers.dicom.geometry import pixel_aspect, pixel_spacing
from qoqdata.readers.dicom.sop_classes import no_picture, sop_class
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.raw_file import RangedFile

#: Any of them dates the examination well enough to tell an infant.
_EXAMINATION_DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
_LATERALITY = ("L", "R", "B", "U")
_ORIENTATION = re.compile(r"[ALRPFH]{1,3}")
_CODED = {
    "Modality": defined_terms.modality,
    "BodyPartExamined": defined_terms.body_part,
    "ViewPosition": defined_terms.view_position,
}
# Mammography views (PS3.16 CID 4014), SNOMED CT and the older SNOMED RT codes.
_VIEW_CODES = {
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
    "399260004": "ML",
    "R-10224": "ML",
    "399352003": "LM",
    "R-10228": "LM",
    "399099002": "LMO",
    "R-10230": "LMO",
    "399196006": "FB",
    "R-10244": "FB",
}


@dataclass(frozen=True)
class DicomHeader:
    """Facts of one object. Everything that the file does not say, or says badly, is None.

    `rows`, `columns` and `frames` as stored; `spacing` is (between rows, between columns) in mm,
    `spacing_kind` the element it comes from; `pixel_aspect` the height of a stored pixel over its
    width; `laterality` L, R, B or U; `patient_orientation` the directions of a row and of a column;
    `age` and `sex` as `qoqdata.person` reads them; `rescale_type` the unit of the modality values;
    `no_picture` what the object is when its pixels are no picture of a patient (a dose grid);
    `acquisition` the place of the frame and how it was taken. The identifiers and the
    `series_description` are raw.
    """

    modality: str | None
    body_part: str | None
    view: str | None
    laterality: str | None
    patient_orientation: tuple[str, str] | None
    age: int | None
    sex: str | None
    frame_time_ms: float | None
    rescale_type: str | None
    spacing: tuple[float, float] | None
    spacing_kind: str | None
    pixel_aspect: float
    rows: int | None
    columns: int | None
    frames: int
    photometric: str | None
    acquisition: Acquisition
    series_description: str | None
    sop_class_uid: str | None
    no_picture: str | None
    sop_instance_uid: str | None
    series_instance_uid: str | None
    study_instance_uid: str | None
    frame_of_reference_uid: str | None
    patient_id: str | None


def read_dicom_header(
    path: Path | RangedFile | str, *, limits: Limits = DEFAULT_LIMITS
) -> DicomHeader:
    """The facts of the DICOM file at `path`, without its pixels; identifiers in it are raw.

    Raises MissingFile, UnreadableFile (no DICOM, damaged), TooLarge.
    """
    path = Path(path) if isinstance(path, str) else path
    file = open_dataset(path, limits=limits, pixels=False)
    with located(file.where):
        return header(file.dataset)


def header(dataset: Dataset, *, frame: int = 0) -> DicomHeader:
    """The facts of a parsed object; spacing, place and laterality are those of a 0-based frame.

    Never raises for a bad value.
    """
    measure = _quiet_spacing(dataset, frame)
    spacing, kind = measure if measure is not None else (None, None)
    age, sex = patient(dataset)
    return DicomHeader(
        modality=_coded(dataset, "Modality"),
        body_part=_coded(dataset, "BodyPartExamined"),
        view=_view(dataset),
        laterality=_laterality(dataset, frame),
        patient_orientation=_orientation(dataset),
        age=age,
        sex=sex,
        frame_time_ms=_frame_time(dataset),
        rescale_type=_rescale_type(dataset, frame),
        spacing=spacing,
        spacing_kind=kind,
        pixel_aspect=pixel_aspect(dataset, spacing),
        rows=_whole(dataset, "Rows"),
        columns=_whole(dataset, "Columns"),
        frames=_whole(dataset, "NumberOfFrames") or 1,
        photometric=elements.code_string(dataset, "PhotometricInterpretation"),
        acquisition=acquisition(dataset, frame),
        series_description=elements.text(dataset, "SeriesDescription"),
        sop_class_uid=sop_class(dataset),
        no_picture=no_picture(dataset),
        sop_instance_uid=elements.text(dataset, "SOPInstanceUID"),
        series_instance_uid=elements.text(dataset, "SeriesInstanceUID"),
        study_instance_uid=elements.text(dataset, "StudyInstanceUID"),
        frame_of_reference_uid=elements.text(dataset, "FrameOfReferenceUID"),
        patient_id=elements.text(dataset, "PatientID"),
    )


def free_text_notes(dataset: Dataset) -> tuple[str, ...]:
    """Which elements hold text where a code belongs, never the text itself, and of two sides the
    one that is taken."""
    told = tuple(
        f"{keyword} is no defined term: left out"
        for keyword in _CODED
        if elements.text(dataset, keyword) and _coded(dataset, keyword) is None
    )
    if set(sides := _sides(dataset)) == {"L", "R"}:
        # A series may hold films of both sides.
        told += (f"ImageLaterality is {sides[0]}, Laterality {sides[1]}: the image's is taken",)
    return told


def _coded(dataset: Dataset, keyword: str) -> str | None:
    code = elements.code_string(dataset, keyword)
    return None if code is None else _CODED[keyword](code)


def patient(dataset: Dataset) -> tuple[int | None, str | None]:
    """Age in whole years and sex of the patient, as `qoqdata.person` reads them."""
    stated = elements.text(dataset, "PatientAge")
    age = read_age(stated)
    # Dates are slow to read, and tell only whether zero years are an age.
    if age is None and (young := read_age(stated, infant=True)) is not None:
        age = young if _born_within_a_year(dataset) else None
    return age, read_sex(elements.code_string(dataset, "PatientSex"))


def _born_within_a_year(dataset: Dataset) -> bool:
    """Whether the birth date lies in the year before the examination.

    The same day does not count: anonymisers put one date for all.
    """
    birth = _date(dataset, "PatientBirthDate")
    dates = (_date(dataset, keyword) for keyword in _EXAMINATION_DATES)
    examination = next((day for day in dates if day is not None), None)
    if birth is None or examination is None:
        return False
    return 0 < (examination - birth).days < 366


def _date(dataset: Dataset, keyword: str) -> date | None:
    try:
        return datetime.strptime(elements.text(dataset, keyword) or "", "%Y%m%d").date()
    except ValueError:
        return None


def _quiet_spacing(dataset: Dataset, frame: int) -> tuple[tuple[float, float], str] | None:
    try:
        return pixel_spacing(dataset, frame)
    except UnreadableFile:
        return None


def _whole(dataset: Dataset, keyword: str) -> int | None:
    try:
        return elements.integer(dataset, keyword)
    except UnreadableFile:
        return None


def _positive(dataset: Dataset, keyword: str) -> float | None:
    try:
        number = elements.number(dataset, keyword)
    except UnreadableFile:
        return None
    return number if number is not None and number > 0 else None


def _view(dataset: Dataset) -> str | None:
    position = _coded(dataset, "ViewPosition")
    if position is not None:
        return position
    try:
        code = elements.item(dataset, "ViewCodeSequence")
    except UnreadableFile:
        return None
    return None if code is None else _VIEW_CODES.get(elements.text(code, "CodeValue") or "")


def _laterality(dataset: Dataset, frame: int) -> str | None:
    """The side of the image, else of its series, else of the frame."""
    if sides := _sides(dataset):
        return sides[0]
    try:
        anatomy = group(dataset, frame, "FrameAnatomySequence")
    except UnreadableFile:
        return None
    side = None if anatomy is None else elements.code_string(anatomy, "FrameLaterality")
    return side if side in _LATERALITY else None


def _sides(dataset: Dataset) -> list[str]:
    stated = (elements.code_string(dataset, name) for name in ("ImageLaterality", "Laterality"))
    return [side for side in stated if side in _LATERALITY]


def _orientation(dataset: Dataset) -> tuple[str, str] | None:
    try:
        directions = elements.value(dataset, "PatientOrientation")
    except UnreadableFile:
        return None
    if directions is None or isinstance(directions, str | bytes) or len(directions) != 2:
        return None
    row, column = (str(one).strip().upper() for one in directions)
    if not (_ORIENTATION.fullmatch(row) and _ORIENTATION.fullmatch(column)):
        return None
    return row, column


def _frame_time(dataset: Dataset) -> float | None:
    """Milliseconds between frames: FrameTime, else from CineRate (PS3.3 C.7.6.5)."""
    time, rate = _positive(dataset, "FrameTime"), _positive(dataset, "CineRate")
    if time is not None:
        return time
    return None if rate is None else 1000.0 / rate


def _rescale_type(dataset: Dataset, frame: int) -> str | None:
    try:
        item = group(dataset, frame, "PixelValueTransformationSequence")
    except UnreadableFile:
        return None
    return elements.code_string(dataset if item is None else item, "RescaleType")
