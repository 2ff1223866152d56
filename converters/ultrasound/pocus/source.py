"""POCUS: lung ultrasound clips and images, each a row of one table that names it without suffix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qoqdata.errors import BadLabel, BadTable, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.person import read_age
from qoqdata.readers import video
from qoqdata.records.content import Image, Record
from qoqdata.records.images import clip_images, clip_notes, image_from_file
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.cells import sex, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit

TABLE = "dataset_metadata.csv"
CLIPS = ("mp4", "avi", "gif", "mov", "mpeg", "mpg")
IMAGES = ("jpg", "jpeg", "png")
#: Columns of 0 and 1, and those of them that no healthy lung has.
FINDINGS = (
    *("Effusion", "Consolidations", "B-lines", "A-lines", "Pleural line irregularities"),
    *("Air bronchogram", "Healthy"),
)
ILL = ("Effusion", "Consolidations", "B-lines", "Air bronchogram")
COLUMNS = (
    *("Filename", "Label", "License", "Current location", "InThisRepo", "Probe", "Source ID"),
    *("Gender", "Age", "Patient ID / Name", *FINDINGS),
)
#: How names of files begin, by their label.
PREFIXES = {
    "cov": "COVID-19",
    "pneu": "Bacterial pneumonia",
    "vir": "Viral pneumonia",
    "reg": "regular",
}
#: Where files lie that the authors use.
USED = ("pocus_videos/convex", "pocus_videos/linear", "pocus_images/convex", "pocus_images/linear")
LICENCES = frozenset(
    {"CC BY 2.0", "CC BY 4.0", "CC BY-NC 4.0", "CC BY-NC-SA 3.0", "CC BY-NC-SA 4.0"}
    | {"CC BY-NC-ND 4.0", "COVID-19 emergency license"}
)


def plan(job: Job) -> Iterator[Planned]:
    """One unit a row that the authors use, joined to its file by name."""
    files: dict[str, list[str]] = {}
    for path in job.raw.files(*(f"*.{suffix}" for suffix in (*CLIPS, *IMAGES))):
        files.setdefault(path.rpartition("/")[2].rpartition(".")[0], []).append(path)
    rows = rows_by_key(job.raw.csv(TABLE, columns=COLUMNS), "Filename", where=TABLE)
    for key, same in rows.items():
        paths = tuple(files.pop(key, ()))
        try:
            yield _planned(key, same, paths)
        except InputError as error:
            yield Refused(key, error, paths)
    for paths in map(tuple, files.values()):
        what = f"no row of {TABLE} names this file"
        yield Refused(paths[0], MissingKey(what, where=paths[0]), paths)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The frames of a clip, or one image, with up to three questions."""
    images, notes = _images(unit, job)
    facts = unit.facts
    shared: dict[str, Any] = {"images": images, "age": facts["age"], "sex": facts["sex"]}
    shared["notes"] = (*notes, f"licence of this file: {facts['licence']}")
    found = facts["findings"]

    def option(task: str, word: str) -> str:
        return translate(job.card, word, where=unit.key, task=task)

    healthy = option("diagnosis", "regular")
    diagnosis = option("diagnosis", facts["label"])
    asked: list[Converted] = []
    if "Healthy" in found and diagnosis != healthy:
        asked.append(Skipped("diagnosis", "looks_healthy", f"a healthy lung, and {diagnosis}"))
    else:
        asked.append(Record(**ask(job.card, "diagnosis", [diagnosis]), **shared))
    if not found:
        asked.append(Skipped("findings", "nothing_noted"))
    elif "Healthy" in found and set(ILL) & set(found):
        asked.append(Skipped("findings", "contradictory", ", ".join(found)))
    else:
        labels = [option("findings", column) for column in found]
        asked.append(Record(**ask(job.card, "findings", labels), **shared))
    probe = option("probe", facts["probe"])
    return [*asked, Record(**ask(job.card, "probe", [probe]), **shared)]


def _images(unit: Unit, job: Job) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    path = job.raw.resolve(unit.files[0])
    if unit.files[0].rpartition(".")[2].lower() in IMAGES:
        image, notes = image_from_file(path, limits=job.limits)
        return (image,), notes
    policy = video.FramePolicy("uniform", count=job.options["frames"])
    clip = video.read_video(path, choose=policy, limits=job.limits)
    return clip_images(clip), clip_notes(clip, policy)


def _planned(key: str, rows: list[Row], paths: tuple[str, ...]) -> Unit | Filtered:
    if not paths and all(text(row["InThisRepo"]) != "Yes" for row in rows):
        return Filtered(key, "elsewhere", "the repository does not hold its file")
    if len(rows) > 1:
        raise DuplicateKey(f"stands {len(rows)} times in {TABLE}", where=key)
    (row,) = rows
    place = (text(row["Current location"]) or "").removeprefix("data/").lower()
    if place not in USED:
        return Filtered(key, "set_aside", f"the authors keep it under {place!r}", paths)
    if not paths:
        raise MissingFile("its file is not there", where=key, fix="clone the repository again")
    if len(paths) > 1:
        what = f"several files have its name: {', '.join(paths)}"
        raise DuplicateKey(what, where=key, fix="keep one of them")
    label, probe = text(row["Label"]), (text(row["Probe"]) or "").lower()
    if label is None or not probe:
        raise BadTable("its row names no label or no probe", where=key)
    stated = PREFIXES.get(key.replace("-", "_").partition("_")[0].lower())
    if stated is not None and stated.lower() != label.lower():
        raise BadLabel(f"is {label!r} by its row and {stated!r} by its name", where=key)
    marks = {column: text(row[column]) for column in FINDINGS}
    if odd := {column: mark for column, mark in marks.items() if mark not in (None, "0", "1")}:
        raise BadTable(f"columns of 0 and 1 hold {odd}", where=key)
    patient = text(row["Patient ID / Name"])
    gender, licence = text(row["Gender"]), (text(row["License"]) or "").replace("NC -", "NC-")
    return Unit(
        key,
        paths,
        group=patient or f"source {text(row['Source ID'])}",
        patient=patient,
        facts={
            "label": label,
            "probe": probe,
            "findings": [column for column, mark in marks.items() if mark == "1"],
            "age": read_age(row["Age"]) or None,
            "sex": None if gender == "nd" else sex(gender, {"w": "female"}),
            "licence": licence if licence in LICENCES else "not stated",
        },
    )
