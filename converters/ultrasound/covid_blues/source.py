"""COVID-BLUES: lung ultrasound clips with score, lines and comment, grouped by patient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qoqdata.errors import BadTable, InputError, MissingKey
from qoqdata.person import read_age
from qoqdata.readers import video
from qoqdata.records.content import Record
from qoqdata.records.images import clip_images, clip_notes
from qoqdata.sources.asking import ask, ask_open, translate
from qoqdata.sources.cells import integer, text
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

SEX: dict[int | None, str] = {0: "female", 1: "male"}
#: Columns of severity.csv by what they answer.
SCORES = {
    "severity": "Severity Score",
    "a_lines": "A-lines",
    "b_lines": "B-lines",
    "description": "comments",
}
COVID = {0: "COVID-19 negative", 1: "COVID-19 positive"}


def plan(job: Job) -> Iterator[Planned]:
    """One unit a clip: severity rows joined to clips by stem and to patients by number."""
    scores = job.raw.csv("severity.csv", columns=["video_file", *SCORES.values()])
    clinical = job.raw.csv(
        "clinical_variables.csv", columns=["patient_id", "cov_test", "pat_sex", "pat_age"]
    )
    patients = {row["patient_id"]: row for row in clinical.iter_rows(named=True)}
    if len(patients) < clinical.height:
        raise BadTable("a patient has two rows", where="clinical_variables.csv")
    row_paths: set[str] = set()
    for row in scores.iter_rows(named=True):
        stem = row["video_file"]
        path = f"lus_videos/{stem}.mp4"
        row_paths.add(path)
        try:
            yield _unit(stem, path, row, patients)
        except InputError as error:
            yield Refused(stem, error, (path,))
    for path in job.raw.files("*.mp4", under="lus_videos") if job.raw.exists("lus_videos") else ():
        if path not in row_paths:
            what = "severity.csv does not score this clip"
            yield Refused(path, MissingKey(what, where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Frames at the centres of equal parts of the clip, asked for each thing that is noted."""
    policy = video.FramePolicy("uniform", count=job.options["frames"])
    clip = video.read_video(job.raw.resolve(unit.files[0]), choose=policy, limits=job.limits)
    shown = {
        "images": clip_images(clip, view=unit.facts["point"]),
        "age": unit.facts["age"],
        "sex": unit.facts["sex"],
        "notes": clip_notes(clip, policy),
    }
    tasks = job.card.tasks if job.options["task"] == "all" else (job.options["task"],)
    return [_asked(unit, job, task, shown) for task in tasks]


def _asked(unit: Unit, job: Job, task: str, shown: dict[str, Any]) -> Converted:
    noted = unit.facts[task]
    if noted is None:
        return Skipped(task, "not_stated", f"the cell of {SCORES[task]} is empty")
    if task == "description":
        return Record(**ask_open(job.card, task, noted), **shown)
    label = noted if task == "covid" else translate(job.card, noted, where=unit.key, task=task)
    return Record(**ask(job.card, task, [label]), **shown)


def _unit(stem: str, path: str, row: dict[str, Any], patients: dict[str, dict[str, Any]]) -> Unit:
    parts = stem.split("_")
    if len(parts) < 3 or parts[0] != "patient":
        raise MissingKey("is not named patient_<id>_<point>", where=stem)
    number, point = parts[1], parts[2]
    if number not in patients:
        raise MissingKey(f"patient {number} is not in clinical_variables.csv", where=stem)
    score, covid = row[SCORES["severity"]], integer(patients[number]["cov_test"])
    severity = integer(score)
    if severity is None or covid not in COVID:
        raise BadTable(f"severity {score!r} or COVID-19 test cannot be read", where=stem)
    facts = {
        "severity": str(severity),
        "covid": COVID[covid],
        "point": point,
        "age": read_age(patients[number]["pat_age"]),
        "sex": SEX.get(integer(patients[number]["pat_sex"])),
    }
    facts |= {task: text(row[SCORES[task]]) for task in SCORES if task != "severity"}
    return Unit(stem, (path,), number, number, facts=facts)
