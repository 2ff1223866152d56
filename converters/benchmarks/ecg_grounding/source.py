"""ECG-Grounding, its two tests: an ECG's interpretation in words, for evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile
from qoqdata.readers import ecg
from qoqdata.records.content import Ecg, Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask_open
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Unit

from ..dialogue import first_turns
from ..lettered import json_rows

#: The tests, by the set whose recordings they are of; and where copies have them.
TESTS = {
    "mimic-iv": "ecg-grounding-test-mimiciv.json",
    "ptbxl": "ecg-grounding-test-ptbxl.json",
}
FOLDERS = ("ecg_jsons", "ecg_bench", "")
SIGNALS, PICTURES = "ecg_timeseries", "ecg_images"
#: Where the path of a recording begins within its set, whatever stands before it.
BEGINS = {"mimic-iv": "files/", "ptbxl": "records"}
FIELDS: Mapping[str, type] = {"id": str, "ecg": str, "image": str, "conversations": list}
TASK = "interpretation"


def plan(job: Job) -> Iterator[Planned]:
    """One unit a row of both tests; one that is not there, or cannot be read, is refused by name.

    Of a row, report and measurements are not read: the reference is written from them.
    """
    seen: set[str] = set()
    for records, name in TESTS.items():
        paths = [f"{folder}/{name}".lstrip("/") for folder in FOLDERS]
        file = next((path for path in paths if job.raw.exists(path)), None)
        try:
            if file is None:
                raise MissingFile("the test is not there", where=paths[0], fix="fetch it")
            rows = json_rows(job, file, FIELDS)
        except InputError as error:
            yield Refused(name, error, split="test")
            continue
        for number, row in enumerate(rows):
            yield _unit(job, records, row, f"{file}, question {number}", seen)


def _unit(job: Job, records: str, row: Mapping[str, Any], where: str, seen: set[str]) -> Planned:
    key = f"{records}/{row['id']}"
    try:
        if key in seen:
            key = f"{key}, again"
            raise DuplicateKey("the question is there twice", where=where)
        seen.add(key)
        turns = first_turns(row["conversations"], where=where)
        if len(turns.answers) > 1:
            raise BadTable("has several answers", where=where, fix="fetch the file again")
        stem = _signal(job, records, row["ecg"]) if job.options["show"] != "picture" else None
        picture = _picture(job, row["image"]) if job.options["show"] != "signal" else None
    except InputError as error:
        return Refused(key, error, split="test")
    files = [f"{stem}.hea", f"{stem}.dat"] if stem else []
    facts = {
        "question": turns.question,
        "answer": turns.answers[0],
        "signal": f"{stem}.hea" if stem else None,
        "picture": picture,
    }
    own = f"{records}/{row['ecg'].rpartition('/')[2]}"
    named = (*files, *([picture] if picture else []))
    return Unit(key, named, group=own, split="test", facts=facts)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The record of a row, with the recording, its picture, or both."""
    fields = ask_open(job.card, TASK, unit.facts["answer"], question=unit.facts["question"])
    notes: list[str] = []
    recording, images = None, None
    if path := unit.facts["signal"]:
        read = ecg.read_ecg(job.raw.resolve(path), limits=job.limits)
        recording = Ecg(read.leads, read.fs, read.signal, read.valid)
        notes += read.repairs
    if path := unit.facts["picture"]:
        image, repairs = image_from_file(job.raw.resolve(path), limits=job.limits)
        images = (image,)
        notes += repairs
    return [
        Record(
            **fields,
            domain=job.card.domain,
            ecg=recording,
            images=images,
            notes=tuple(dict.fromkeys(notes)),
        )
    ]


def _signal(job: Job, records: str, path: str) -> str:
    """The WFDB record of a path in the table, without extension; MissingFile where it is none."""
    stem = path.removesuffix(".hea").removesuffix(".dat")
    begins = BEGINS[records]
    within = stem[stem.find(begins) :] if begins in stem else stem
    places = (stem, f"{SIGNALS}/{stem}", f"{SIGNALS}/{records}/{within}")
    for place in dict.fromkeys(places):
        if job.raw.exists(f"{place}.hea"):
            return place
    fix = "fetch the recordings of the set, or build with show=picture"
    raise MissingFile("the recording is not there", where=f"{places[-1]}.hea", fix=fix)


def _picture(job: Job, path: str) -> str:
    for place in (path, f"{PICTURES}/{path}", f"{PICTURES}/gen_images/{path}"):
        if job.raw.exists(place):
            return place
    fix = "unpack the pictures of the set, or build with show=signal"
    raise MissingFile("the picture is not there", where=f"{PICTURES}/{path}", fix=fix)
