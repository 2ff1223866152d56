"""Your own DICOM folder: one record a file or a series, labels from a table or the headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from qoqdata.contract.card import Card
from qoqdata.errors import InputError
from qoqdata.readers import dicom
from qoqdata.readers.dicom import DicomHeader, Window
from qoqdata.readers.dicom.header import read_dicom_header
from qoqdata.readers.volume import SlicePolicy
from qoqdata.records import dicoms
from qoqdata.records.content import Record
from qoqdata.sources.annotation_table import join, read_annotations
from qoqdata.sources.annotations import Annotation, annotated_unit, answered, with_person
from qoqdata.sources.companions import beside_the_data
from qoqdata.sources.joining import path_text
from qoqdata.sources.mapping import Mapping as SourceMapping
from qoqdata.sources.mapping import complete_card, parse_mapping
from qoqdata.sources.protocol import Filtered, Job, Planned, Unit

NO_PIXELS, NO_PICTURE = "no_pixels", "no_picture"
#: Modalities whose pixels are no image of a patient: masks, dose grids. The SOP class tells more.
DERIVED = frozenset({"SEG", "RTDOSE", "REG", "PR", "KO"})


class DicomFolder(SourceMapping):
    """The mapping of a DICOM folder."""

    unit: Literal["file", "series"] = "file"
    key: Literal["path", "sop_instance_uid", "series_instance_uid", "study_instance_uid"] = "path"
    label_header: Literal["modality", "body_part", "view", "laterality"] | None = None
    modalities: tuple[str, ...] = Field(
        (), description="keep these DICOM modalities only; default: all that are images"
    )
    windows: tuple[str | tuple[float, float], ...] = Field(
        (), description="named CT windows or [centre, width], an image each; default: the file's"
    )
    frames: int = Field(8, ge=1, description="frames kept of a multi-frame file")
    slices: int = Field(8, ge=1, description="slices kept of a series")

    @model_validator(mode="after")
    def _labels_come_from_somewhere(self) -> Self:
        if (self.table is None) == (self.label_header is None):
            raise ValueError("name either a table or label_header")
        if self.unit == "series" and self.key in ("path", "sop_instance_uid") and self.table:
            raise ValueError("a series is keyed by series_instance_uid or study_instance_uid")
        return self


def configure(card: Card, mapping: Mapping[str, Any]) -> tuple[Card, DicomFolder]:
    """The card of the user's source."""
    settings = parse_mapping(DicomFolder, mapping, source=card.slug)
    modality = "volume_3d" if settings.unit == "series" else "image_2d"
    return complete_card(card, settings, modality=modality), settings


def plan(job: Job) -> Iterator[Planned]:
    """One unit a file or series with pixels; headers are read, pixels are not."""
    mapping: DicomFolder = job.mapping
    headers: dict[str, DicomHeader] = {}
    told: list[str] = []
    for path in job.raw.files():
        if mapping.table and path == path_text(mapping.table.file):
            continue
        try:
            facts = read_dicom_header(job.raw.resolve(path), limits=job.limits)
        except InputError as error:
            yield beside_the_data(path, error)
            told.append(path)
            continue
        if (left_out := _left_out(path, facts, mapping)) is not None:
            yield left_out
            told.append(path)
        else:
            headers[path] = facts
    groups = _groups(headers, mapping)
    if mapping.table is None:
        for key, paths in groups.items():
            yield _from_header(key, paths, headers[paths[0]], mapping)
        return
    by_row: dict[str, list[str]] = {}
    files: dict[str, tuple[str, ...]] = {}
    for key, paths in groups.items():
        row = _row_key(paths[0], headers[paths[0]], mapping)
        by_row.setdefault(row, []).append(key)
        files[row] = (*files.get(row, ()), *paths)
    exact = mapping.key != "path"
    table = read_annotations(job, mapping)
    for item in join(table, files, table=mapping.table.file, exact=exact, told=told):
        if not isinstance(item, tuple):
            yield item
            continue
        row, _, annotations = item
        for key in by_row[row]:
            yield _unit(key, groups[key], headers[groups[key][0]], annotations)


def convert(unit: Unit, job: Job) -> list[Record]:
    """Frames through the grey chain, or slices of the ordered series."""
    mapping: DicomFolder = job.mapping
    paths = [job.raw.resolve(path) for path in unit.files]
    windows: list[Window | str | None] = [
        window if isinstance(window, str) else Window(*window) for window in mapping.windows
    ] or [None]
    if mapping.unit == "series":
        series = dicom.read_series(paths, limits=job.limits)
        policy = SlicePolicy("uniform", count=mapping.slices)
        images, notes = dicoms.series_images(series, policy, windows)
        age, sex = series.header.age, series.header.sex
    else:
        images, notes, image = dicoms.file_images(
            paths[0], windows, frames=mapping.frames, limits=job.limits
        )
        age, sex = image.age, image.sex
    return [
        Record(**with_person(fields, age, sex), images=images, notes=notes)
        for fields in answered(job.card, mapping.task, unit)
    ]


def _left_out(path: str, facts: DicomHeader, mapping: DicomFolder) -> Filtered | None:
    if facts.rows is None or facts.columns is None:
        kind = facts.modality or "object"
        return Filtered(path, NO_PIXELS, f"a DICOM {kind} without an image", (path,))
    modalities = mapping.modalities
    if facts.modality not in modalities and (modalities or facts.modality in DERIVED):
        return Filtered(path, "other_modality", f"modality {facts.modality}", (path,))
    if facts.no_picture is not None:
        what = f"{facts.no_picture}, no picture of a patient"
        return Filtered(path, NO_PICTURE, what, (path,))
    return None


def _groups(headers: Mapping[str, DicomHeader], mapping: DicomFolder) -> dict[str, tuple[str, ...]]:
    """Files by unit key: the path, or the series instance UID (a file without one stands alone)."""
    if mapping.unit == "file":
        return {path: (path,) for path in headers}
    series: dict[str, list[str]] = {}
    for path, facts in headers.items():
        series.setdefault(facts.series_instance_uid or path, []).append(path)
    return {key: tuple(paths) for key, paths in series.items()}


def _row_key(path: str, facts: DicomHeader, mapping: DicomFolder) -> str:
    if mapping.key == "path":
        return path
    return getattr(facts, mapping.key) or path


def _from_header(
    key: str, paths: tuple[str, ...], facts: DicomHeader, mapping: DicomFolder
) -> Unit | Filtered:
    label = getattr(facts, mapping.label_header or "")
    if label is None:
        return Filtered(key, "no_label", f"the header names no {mapping.label_header}", paths)
    return _unit(key, paths, facts, (Annotation((label,)),))


def _unit(
    key: str, paths: tuple[str, ...], facts: DicomHeader, annotations: Sequence[Annotation]
) -> Unit:
    unit = annotated_unit(key, paths, annotations)
    patient = unit.patient or facts.patient_id
    group = annotations[0].group or patient or facts.study_instance_uid
    return Unit(key, paths, group, patient, unit.split, unit.facts)
