"""Your own clips with a table: one record a clip or, with items, one a question about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from qoqdata.contract.card import Card
from qoqdata.errors import InputError, UnsupportedFormat
from qoqdata.readers import video
from qoqdata.readers.dicom.header import read_dicom_header
from qoqdata.readers.raw_file import open_raw_file
from qoqdata.records import dicoms
from qoqdata.records.content import Image, Record
from qoqdata.records.images import clip_images, clip_notes
from qoqdata.sources.annotation_table import join_files
from qoqdata.sources.annotations import annotated_unit, answered, with_person
from qoqdata.sources.joining import check_pattern
from qoqdata.sources.mapping import Mapping as SourceMapping
from qoqdata.sources.mapping import complete_card, parse_mapping
from qoqdata.sources.protocol import Job, Planned, Refused, Unit

VIDEOS = ("*.mp4", "*.m4v", "*.mov", "*.avi", "*.mpg", "*.mpeg", "*.wmv", "*.mkv", "*.webm")
CLIPS = (*VIDEOS, "*.gif", "*.dcm", "*.dicom")


class Clips(SourceMapping):
    """The mapping of clips."""

    clip: str | None = Field(
        None,
        description="clip paths below the raw folder, such as clips/{key}.mp4: {key} is the "
        "table's key, {name} its last part, {stem} that without extension, * any text",
    )
    frames: int = Field(8, ge=1, description="frames kept, at the centres of equal parts")

    @field_validator("clip")
    @classmethod
    def _names_a_key(cls, pattern: str | None) -> str | None:
        return pattern if pattern is None else check_pattern(pattern)


def configure(card: Card, mapping: Mapping[str, Any]) -> tuple[Card, Clips]:
    """The card of the user's source."""
    settings = parse_mapping(Clips, mapping, source=card.slug)
    return complete_card(card, settings, modality="video"), settings


def plan(job: Job) -> Iterator[Planned]:
    """One unit a clip that the table names; clips that no row names are refused.

    Of DICOM files the headers are read: where the table has no patient, theirs keeps a patient's
    clips in one split.
    """
    mapping: Clips = job.mapping
    listing = job.raw.files()
    clips = job.raw.files(*CLIPS) if mapping.clip is None else listing
    pairs = join_files(job, mapping, clips, pattern=mapping.clip, listing=listing, reads=CLIPS)
    for item in pairs:
        if isinstance(item, tuple):
            path, annotations = item
            yield _with_patient(annotated_unit(path, (path,), annotations), job)
        else:
            yield item


def convert(unit: Unit, job: Job) -> list[Record]:
    """Frames at the centres of equal parts.

    Age and sex are those of a DICOM header where the table has none.
    """
    mapping: Clips = job.mapping
    path = job.raw.resolve(unit.files[0])
    age = sex = None
    images: tuple[Image, ...]
    if _is_dicom(path):
        images, notes, header = dicoms.file_images(
            path, [None], frames=mapping.frames, limits=job.limits
        )
        count, age, sex = header.original_frames, header.age, header.sex
    else:
        policy = video.FramePolicy("uniform", count=mapping.frames)
        clip = video.read_video(path, choose=policy, limits=job.limits)
        images, notes, count = clip_images(clip), clip_notes(clip, policy), clip.frame_count
    if count < 2:
        fix = "build stills with image_table or dicom_folder"
        raise UnsupportedFormat("has one frame and is no clip", where=unit.key, fix=fix)
    return [
        Record(**with_person(fields, age, sex), images=images, notes=notes)
        for fields in answered(job.card, mapping.task, unit)
    ]


def _with_patient(unit: Unit, job: Job) -> Planned:
    """The unit with the patient of its DICOM header where the table has none."""
    if unit.patient is not None:
        return unit
    try:
        path = job.raw.resolve(unit.files[0])
        if not _is_dicom(path):
            return unit
        header = read_dicom_header(path, limits=job.limits)
    except InputError as error:
        return Refused(unit.key, error, unit.files)
    group = unit.group or header.patient_id or header.study_instance_uid
    return replace(unit, patient=header.patient_id, group=group)


def _is_dicom(path: Path) -> bool:
    """By content: exports give DICOM files any name."""
    try:
        with open_raw_file(path) as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:  # What is wrong with it, its reader tells.
        return False
