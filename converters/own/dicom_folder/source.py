"""Your own DICOM folder: one record a file or a series, labels from a table or the headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.errors import InputError, NotAVolume
from qoqdata.readers import dicom
from qoqdata.readers.dicom import DicomHeader, Window
from qoqdata.readers.dicom.header import read_dicom_header
from qoqdata.readers.dicom.series_identity import Headers, SeriesFiles, find_series
from qoqdata.readers.dicom.slices import no_slice
from qoqdata.readers.volume import SlicePolicy
from qoqdata.records import dicoms
from qoqdata.records.content import Record
from qoqdata.sources.annotations import answered, with_person
from qoqdata.sources.companions import beside_the_data
from qoqdata.sources.joining import path_text
from qoqdata.sources.mapping import complete_card, parse_mapping
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit

from .mapping import DicomFolder
from .units import labelled_by_header, labelled_by_table

NO_PIXELS, NO_PICTURE = "no_pixels", "no_picture"
#: Modalities whose pixels are no image of a patient: masks, dose grids. The SOP class tells more.
DERIVED = frozenset({"SEG", "RTDOSE", "REG", "PR", "KO"})


def configure(card: Card, mapping: Mapping[str, Any]) -> tuple[Card, DicomFolder]:
    """The card of the user's source."""
    settings = parse_mapping(DicomFolder, mapping, source=card.slug)
    modality = "volume_3d" if settings.unit == "series" else "image_2d"
    return complete_card(card, settings, modality=modality), settings


def plan(job: Job) -> Iterator[Planned]:
    """One unit a file or series with pixels; headers are read, pixels are not."""
    mapping: DicomFolder = job.mapping
    headers: dict[str, DicomHeader] = {}
    table = path_text(mapping.table.file) if mapping.table else None
    files = [path for path in job.raw.files() if path != table]
    for path in files:
        try:
            headers[path] = read_dicom_header(job.raw.header_of(path), limits=job.limits)
        except InputError as error:
            yield beside_the_data(path, error)
    refused = [path for path in files if path not in headers]
    groups = []
    for one in _outcomes(headers, mapping):
        if isinstance(one, SeriesFiles):
            groups.append(one)
        else:
            yield one
    if mapping.table is None:
        yield from labelled_by_header(groups, headers, mapping)
    else:
        yield from labelled_by_table(job, groups, headers, refused)


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
        notes = (*unit.facts["notes"], *notes)
        age, sex = series.header.age, series.header.sex
    else:
        part = "CHEST" if job.card.domain == "chest_xray" else None
        images, notes, image = dicoms.file_images(
            paths[0], windows, frames=mapping.frames, part=part, limits=job.limits
        )
        age, sex = image.age, image.sex
    return [
        Record(**with_person(fields, age, sex), images=images, notes=notes)
        for fields in answered(job.card, mapping.task, unit)
    ]


def _outcomes(headers: Headers, mapping: DicomFolder) -> Iterator[SeriesFiles | Refused | Filtered]:
    """The files of each unit, and what is said of those that are in none."""
    images: dict[str, DicomHeader] = {}
    for path, facts in headers.items():
        if (left_out := _left_out(path, facts, mapping)) is not None:
            yield left_out
        else:
            images[path] = facts
    if mapping.unit == "file":
        yield from (SeriesFiles(path, (path,)) for path in images)
        return
    for one in find_series(images):
        if one.fault is not None:
            yield Refused(one.key, one.fault, one.files)
        elif one.stray:
            yield _stray(one)
        else:
            yield one


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
    if mapping.unit == "series" and (why := no_slice(facts)) is not None:
        return _not_a_volume(path, why)
    return None


def _not_a_volume(path: str, why: str) -> Filtered:
    fix = "Fix: a mapping with `unit: file` takes it as an image"
    return Filtered(path, NotAVolume.code, f"{why}. {fix}", (path,))


def _stray(one: SeriesFiles) -> Refused | Filtered:
    """A slice on its own is no volume; that of another patient or exam is a fault of the files."""
    (path,) = one.files
    if not one.apart:
        return _not_a_volume(path, "a single slice that names no series")
    why = f"a single slice that differs from the others of its series in {' and '.join(one.apart)}"
    if not {"patient", "sex", "study"} & set(one.apart):
        return _not_a_volume(path, why)
    fix = "move it to the files of its own series, or out of the raw folder"
    return Refused(path, InputError(why, where=path, fix=fix), one.files)
