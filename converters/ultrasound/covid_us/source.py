"""COVIDx-US: lung ultrasound clips from public sites, grouped by patient."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.person import read_age
from qoqdata.readers import masks, video
from qoqdata.records.content import Image, Record
from qoqdata.records.images import clip_images, clip_notes
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.cells import sex, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

METADATA, LABELS = "utils/video_metadata.csv", "COVIDx-US*_4class.csv"
SUFFIXES = ("mp4", "gif", "wmv", "mov", "avi", "mpeg")
#: A clip, as it was fetched, and as the notebook cropped it.
CLIP = re.compile(r"(?P<id>\d+_[a-z]+_[a-z]+)(?P<cropped>_prc[a-z_]*)?")
MASK = re.compile(r"(?P<id>\d+_[a-z]+_[a-z]+)_prc_[a-z]+_frame\d+_mask")
#: What both tables say of a clip, and must agree on.
SHARED = ("source", "probe", "class")
LUNG = (None, "lung")
#: Task and column.
ASKED = {"diagnosis": "class", "severity": "LUSS", "probe": "probe"}


def plan(job: Job) -> Iterator[Planned]:
    """One unit a clip: a row of each table, and the clip of either edition, joined by id."""
    names = job.raw.files(LABELS)
    if not names:
        fix = "clone the whole repository"
        raise BadTable(
            "there is no table of labels and patients", where=f"labels/{LABELS}", fix=fix
        )
    # The latest version.
    table = job.raw.csv(names[-1], columns=("id", "LUSS", "patient", *SHARED))
    facts = job.raw.csv(METADATA, columns=("id", *SHARED, "type", "gender", "age"))
    # The real table ends in a row of blanks.
    facts = facts.filter(~pl.all_horizontal(pl.all().is_null()))
    described = rows_by_key(facts, "id", where=METADATA)
    labels = rows_by_key(table, "id", where=names[-1])
    clips, marks = _clips(job), _marks(job)
    for key in dict.fromkeys((*labels, *described)):
        paths = clips.pop(key, [])
        try:
            yield _unit(key, labels.get(key, []), described.get(key, []), paths, marks.get(key, []))
        except InputError as error:
            yield Refused(key, error, tuple(paths))
    for paths in clips.values():
        for path in paths:
            yield Refused(path, MissingKey("no table names this clip", where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Frames at the centres of equal parts, with up to three questions."""
    policy = video.FramePolicy("uniform", count=job.options["frames"])
    clip = video.read_video(job.raw.resolve(unit.files[0]), choose=policy, limits=job.limits)
    facts = unit.facts
    images, notes = _without_marks(clip_images(clip), unit, job)
    shared: dict[str, Any] = {"images": images, "age": facts["age"], "sex": facts["sex"]}
    shared["notes"] = (*clip_notes(clip, policy), *notes)
    asked: list[Converted] = []
    for task, column in ASKED.items():
        if facts["type"] not in LUNG and task != "probe":
            asked.append(Skipped(task, "not_lung", f"the clip is of: {facts['type']}"))
        elif facts[column] is None:
            asked.append(Skipped(task, "not_stated", f"{column} is not stated"))
        else:
            option = translate(job.card, facts[column], where=unit.key, task=task)
            asked.append(Record(**ask(job.card, task, [option]), **shared))
    return asked


def _unit(
    key: str, labels: list[Row], described: list[Row], paths: list[str], marks: list[str]
) -> Unit:
    if len(labels) != 1 or len(described) != 1:
        what = f"has {len(labels)} rows of labels and {len(described)} in {METADATA}"
        error = DuplicateKey if max(len(labels), len(described)) > 1 else MissingKey
        raise error(what, where=key, fix="clone the repository again")
    (label,), (facts,) = labels, described
    for column in SHARED:
        if text(label[column]) != text(facts[column]):
            what = f"{column} is {label[column]} by one table and {facts[column]} by the other"
            raise BadTable(what, where=key)
    patient = text(label["patient"])
    if patient is None:
        raise BadTable("its row names no patient", where=key)
    if not paths:
        raise MissingFile("its clip is not there", where=key, fix="run the notebook again")
    if len(paths) > 1:
        what = f"several clips have its name: {', '.join(paths)}"
        raise DuplicateKey(what, where=key, fix="keep one of them")
    said: dict[str, Any] = {column: text(label[column]) for column in ASKED.values()}
    said |= {
        "type": text(facts["type"]),
        "age": read_age(facts["age"]),
        "sex": sex(facts["gender"]),
    }
    return Unit(key, (*paths, *marks), patient, patient, facts=said)


def _clips(job: Job) -> dict[str, list[str]]:
    """Clips of the edition that is asked for, by id."""
    cropped = job.options["videos"] == "cropped"
    found: dict[str, list[str]] = {}
    for path in job.raw.files(*(f"*.{suffix}" for suffix in SUFFIXES)):
        name = path.rpartition("/")[2].rpartition(".")[0]
        match = CLIP.fullmatch(name)
        if match is None or bool(match["cropped"]) == cropped:
            found.setdefault(match["id"] if match else name, []).append(path)
    return found


def _marks(job: Job) -> dict[str, list[str]]:
    """Masks of marks and text, by id; they fit cropped clips only."""
    found: dict[str, list[str]] = {}
    for path in job.raw.files("*_mask.jpg") if job.options["videos"] == "cropped" else ():
        if match := MASK.fullmatch(path.rpartition("/")[2].rpartition(".")[0]):
            found.setdefault(match["id"], []).append(path)
    return found


def _without_marks(
    images: tuple[Image, ...], unit: Unit, job: Job
) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    """The frames with what the one mask marks in black, and a note."""
    paths = unit.files[1:]
    if len(paths) != 1:
        several = "marks are left: their masks change from frame to frame"
        return images, (several,) if paths else ()
    codes = masks.read_mask(
        job.raw.resolve(paths[0]), codes={1: "mark"}, binarise=True, limits=job.limits
    ).codes
    if codes.shape != images[0].pixels.shape[:2]:
        return images, ("marks are left: their mask is of another size",)
    painted = tuple(replace(image, pixels=_painted(image.pixels, codes)) for image in images)
    return painted, (f"{int(codes.sum())} pixels of marks painted black",)


def _painted(pixels: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The pixels, (rows, columns) or with channels, black where codes are set."""
    painted = pixels.copy()
    painted[codes > 0] = 0
    return painted
