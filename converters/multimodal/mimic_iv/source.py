"""MIMIC-IV: ICU stays with what was charted up to a time, and questions on what came after it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from qoqdata.atomic import file_digest
from qoqdata.contract.vocabulary import AGE_CAP
from qoqdata.errors import (
    BadTable,
    DuplicateKey,
    InputError,
    MissingFile,
    MissingKey,
    UnreadableFile,
)
from qoqdata.readers import ecg
from qoqdata.records.content import Ecg, Image, Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask
from qoqdata.sources.cells import integer
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import read_text

from ...chest_xray.reports import read_sections
from .companions import last_films, last_recordings, unaccounted
from .events import Event, event_lines, known_by, read_events, read_items
from .outcomes import HOURS, answers
from .prepare import FOLDER, OUTCOMES, RECEIPT, STAYS, content_digest, made_by
from .stays import INPUT_COLUMNS, KNOWN, OUTCOME_COLUMNS

_FAULTS: dict[str, type[InputError]] = {
    "duplicate_key": DuplicateKey,
    "missing_key": MissingKey,
    "bad_table": BadTable,
}
_AGAIN = "qoqdata prepare mimic_iv"
#: Bytes of a table up to which planning reads it to tell that it is the one that was prepared.
_DIGESTED = 64 << 20
#: Sections of a report that are told.
_SECTIONS = ("FINDINGS", "IMPRESSION")


def plan(job: Job) -> Iterator[Planned]:
    """One unit an ICU stay, from the prepared tables; films and ECGs join by patient and time."""
    stays, outcomes = _prepared(job)
    sound = stays.filter(pl.col("fault").is_null())
    hours = tuple(sorted(set(HOURS.values())))
    films, recordings = last_films(job, sound, hours), last_recordings(job, sound, hours)
    lost = unaccounted(job)
    for row in stays.iter_rows(named=True):
        key, patient = row["stay_id"], row["subject_id"]
        if patient in lost:
            yield Refused(key, MissingKey(lost[patient], where=f"stay {key}"), group=patient)
            continue
        if row["fault"] is not None:
            error = _FAULTS[row["fault"]](row["message"], where=f"stay {key}")
            yield Refused(key, error, group=patient)
            continue
        outcome = outcomes[key]
        if outcome["fault"] is not None:
            yield Refused(key, BadTable(outcome["fault"], where=f"stay {key}"), group=patient)
            continue
        if all(isinstance(answers(task, outcome, job.card), Skipped) for task in HOURS):
            yield Filtered(key, "short_stay", "left or died before a question could be put")
            continue
        own = {name: by_stay.get(key, {}) for name, by_stay in
               (("films", films), ("recordings", recordings))}  # fmt: skip
        files = (f"{FOLDER}/{row['file']}#events[stay_id={key}]", *_paths(own))
        facts = {"known": {name: row[name] for name in KNOWN}, "outcome": outcome}
        by_hour = {
            name: {str(hour): found for hour, found in by_stay.items()}
            for name, by_stay in own.items()
        }
        yield Unit(key, files, patient, patient, facts=facts | by_hour)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Each question at its hour, with what was known by then."""
    events = read_events(job.raw.read_bytes(unit.files[0]), where=unit.key)
    shown = {hour: _shown_at(hour, unit, events, job) for hour in sorted(set(HOURS.values()))}
    asked: list[Converted] = []
    for task, hour in HOURS.items():
        found = answers(task, unit.facts["outcome"], job.card)
        if isinstance(found, Skipped):
            asked.append(found)
        elif (context := shown[hour]) is None:
            asked.append(Skipped(task, "no_events", f"nothing was charted within {hour} h"))
        else:
            asked.append(Record(**ask(job.card, task, found), **context))
    return asked


def _shown_at(hour: int, unit: Unit, events: list[Event], job: Job) -> dict[str, Any] | None:
    """Context, film, ECG and person of a stay as known at `hour`; None where nothing is charted.

    Of `unit.facts` the outcome is not looked at.
    """
    known = unit.facts["known"]
    items = read_items()
    names = {item: (name, unit_) for item, name, unit_ in
             items.select("item", "name", "unit").iter_rows()}  # fmt: skip
    lines = event_lines(known_by(events, hour), names)
    if not lines:
        return None
    told = [
        _admission(known, hour),
        f"Charted until {hour} hours after admission to the unit:",
        *lines,
    ]
    images: tuple[Image, ...] | None = None
    recording, notes = None, [f"known {hour} h after admission to the unit"]
    if film := unit.facts["films"].get(str(hour)):
        image, repairs = image_from_file(job.raw.resolve(film["path"]), limits=job.limits)
        images, notes = (image,), [*notes, *repairs, _age_of("chest film", film, hour)]
        told += _report(film, hour, job)
    if own := unit.facts["recordings"].get(str(hour)):
        read = ecg.read_ecg(job.raw.resolve(own["path"]), limits=job.limits)
        recording = Ecg(read.leads, read.fs, read.signal, read.valid)
        notes += [*read.repairs, *read.masked, _age_of("ECG", own, hour)]
    return {
        "context": "\n".join(told),
        "images": images,
        "ecg": recording,
        "age": integer(known["age"]),
        "sex": known["sex"],
        "notes": tuple(notes),
    }


def _admission(known: Mapping[str, str | None], hour: int) -> str:
    """How the patient came, in a sentence a fact."""
    sex = {"female": "woman", "male": "man"}.get(known["sex"] or "", "patient")
    age = "" if known["age"] is None else f" of {known['age']} years"
    if known["age"] == str(AGE_CAP):
        age += " or more"
    parts = [f"A {sex}{age}, {hour} hours after admission to an intensive care unit."]
    named = {
        "careunit": "Unit",
        "admission_type": "Type of admission",
        "admission_location": "Admitted from",
    }
    for name, words in named.items():
        if (said := known[name]) is not None:
            parts.append(f"{words}: {said.removesuffix('.')}.")
    if known["hours_before"] is not None:
        parts.append(f"Hours in hospital before the unit: {known['hours_before']}.")
    return " ".join(parts)


def _report(film: Mapping[str, Any], hour: int, job: Job) -> list[str]:
    """The report of the film if it was surely written by then: only the film's time is known."""
    if film["report"] is None or film["at"] > (hour - job.options["report_hours"]) * 60:
        return []
    text = read_text(job.raw, film["report"])
    if not text.strip():
        raise UnreadableFile("is an empty report", where=film["report"], fix="fetch it again")
    sections = read_sections(text)
    told = [f"{name.capitalize()}: {sections[name]}" for name in _SECTIONS if sections.get(name)]
    return ["Report of the chest film:", *told] if told else []


def _age_of(what: str, thing: Mapping[str, Any], hour: int) -> str:
    return f"{what} taken {(hour * 60 - thing['at']) / 60:.1f} h before the question"


def _paths(own: Mapping[str, Mapping[int, Mapping[str, Any]]]) -> list[str]:
    """The files of a stay's films, reports and recordings, each once."""
    paths = dict[str, None]()
    for by_hour in own.values():
        for thing in by_hour.values():
            paths |= dict.fromkeys(
                path for path in (thing["path"], thing.get("report")) if path is not None
            )
            if thing["path"].endswith(".hea"):
                paths[thing["path"].removesuffix(".hea") + ".dat"] = None
    return list(paths)


def _prepared(job: Job) -> tuple[pl.DataFrame, dict[str, dict[str, str | None]]]:
    """The prepared tables, as they were prepared: stays, and outcomes by stay."""
    where = f"{FOLDER}/{RECEIPT}"
    if not job.raw.exists(where):
        what = "the tables of MIMIC-IV have not been prepared, or not to the end"
        raise MissingFile(what, where=where, fix=f"{_AGAIN} --raw RAW, once")
    try:
        receipt = json.loads(read_text(job.raw, where))
        origin, digests, count = receipt["origin"], receipt["digests"], receipt["stays"]
        maker, tables = origin["made_by"], origin["tables"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadTable(f"is damaged: {error!r}", where=where, fix=_AGAIN) from error
    if maker != made_by():
        raise BadTable("was prepared by another version, or other items", where=where, fix=_AGAIN)
    _check_origin(job, tables)
    for name, digest in sorted(digests.items()):
        path = f"{FOLDER}/{name}"
        columns = pl.read_parquet_schema(job.raw.resolve(path))
        if content_digest(job.raw.parquet(path, columns=list(columns), empty=True)) != digest:
            raise BadTable("is not as it was prepared", where=path, fix=f"delete it, and {_AGAIN}")
    stays = job.raw.parquet(f"{FOLDER}/{STAYS}", columns=[*INPUT_COLUMNS, "file"])
    outcomes = job.raw.parquet(f"{FOLDER}/{OUTCOMES}", columns=OUTCOME_COLUMNS)
    by_stay = {row["stay_id"]: row for row in outcomes.select(OUTCOME_COLUMNS).to_dicts()}
    if stays.height != count or set(by_stay) != set(stays["stay_id"]):
        raise BadTable("holds other stays than were prepared", where=STAYS, fix=_AGAIN)
    return stays, by_stay


def _check_origin(job: Job, tables: Mapping[str, tuple[int, str]]) -> None:
    """Where the tables of MIMIC-IV are there too, they are those that were prepared.

    Large ones are told by their size alone; `prepare` looks at all of them.
    """
    for name, (size, digest) in tables.items():
        stem = name.rpartition("/")[2]
        for path in job.raw.files(f"{stem}.csv", f"{stem}.csv.gz"):
            stamp = job.raw.stamp(path)
            if stamp is None or path.split("/")[-2] not in name:
                continue
            other = stamp[0] != size
            if other or (size <= _DIGESTED and file_digest(job.raw.resolve(path)) != digest):
                raise BadTable("is not the table that was prepared", where=path, fix=_AGAIN)
