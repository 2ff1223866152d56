"""MIMIC-IV-ECG: 12-lead ECGs of MIMIC-IV's patients, with the machine's report and measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from sys import intern
from typing import Any

import polars as pl

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingKey
from qoqdata.sources.asking import ask, ask_number, ask_open
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from ..recordings import questions, read_pair
from .machine_report import Report, read_report
from .measurements import COLUMNS, QUANTITIES, axis_class, in_order, measured

RECORDS, MEASURED = "record_list.csv", "machine_measurements.csv"
LINES = tuple(f"report_{number}" for number in range(18))
#: A line that is not read may state a rhythm where one of these stands in it.
OF_RHYTHM = ("rhythm", "tachy", "brady", "fibril", "flutter", "sinus", "pac", "block")
NO_WARNING = "No warning"
#: Hz of all recordings.
RATE = 500.0

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def plan(job: Job) -> Iterator[Planned]:
    """One unit a recording, joined to what the machine said of it by study_id."""
    records = job.raw.csv(RECORDS, columns=["subject_id", "study_id", "path"])
    machine = job.raw.csv(MEASURED, columns=["subject_id", "study_id", *LINES, *COLUMNS])
    machine = machine.select("subject_id", "study_id", *LINES, *COLUMNS)
    table = records.select("subject_id", "study_id", "path").join(
        machine, on="study_id", how="full", suffix="_machine", coalesce=True, maintain_order="left"
    )
    twice = {key for frame in (records, machine) for key in _repeated(frame["study_id"])}
    row_files: set[str] = set()
    told: set[str | None] = set()
    for row in table.iter_rows(named=True):
        key, stem = row["study_id"], row["path"]
        files = (f"{stem}.hea", f"{stem}.dat") if stem else ()
        row_files.update(files)
        try:
            if key in twice:
                if key in told:
                    continue
                told.add(key)
                raise DuplicateKey("has several rows", where=f"study_id {key}")
            yield _unit(row, files)
        except InputError as error:
            yield Refused(str(key), error, files)
    yield from _without_row(job, row_files)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about one recording; age and sex are not in the release."""
    recording = read_pair(unit.files[0], unit.files[1], job, rate=RATE)
    lines = unit.facts["lines"]
    asked = [*_from_report(lines, job), *_from_measurements(unit.facts["measured"], job)]
    return questions(asked, recording, age=None, sex=None)


def _from_report(lines: list[str], job: Job) -> Iterator[Asked]:
    """What the machine wrote."""
    if not lines:
        tasks = ("rhythm", "findings", "verdict", "quality", "report")
        yield from (Skipped(task, "no_report") for task in tasks)
        return
    report = read_report(lines)
    yield _rhythm(report, job)
    if report.unread:
        yield from _unread("findings", report.unread)
    elif labels := report.certain["finding"]:
        yield ask(job.card, "findings", labels, uncertain=report.uncertain["finding"])
    else:
        yield Skipped("findings", "no_finding", " | ".join(lines))
    verdicts = report.certain["overall"]
    if len(verdicts) == 1:
        yield ask(job.card, "verdict", verdicts)
    else:
        yield Skipped("verdict", "several_verdicts" if verdicts else "not_stated")
    if report.unread:
        yield from _unread("quality", report.unread)
    else:
        yield ask(job.card, "quality", report.certain["quality"] or (NO_WARNING,))
    yield ask_open(job.card, "report", "\n".join(lines))


def _rhythm(report: Report, job: Job) -> Asked:
    if any(word in line.lower() for line in report.unread for word in OF_RHYTHM):
        return Skipped("rhythm", "unread_line", " | ".join(report.unread))
    if labels := report.certain["rhythm"]:
        return ask(job.card, "rhythm", labels, uncertain=report.uncertain["rhythm"])
    reason = "only_considered" if report.uncertain["rhythm"] else "no_rhythm"
    return Skipped("rhythm", reason)


def _unread(task: str, lines: tuple[str, ...]) -> Iterator[Skipped]:
    """A question is not asked where a line that is not read may add to its answer."""
    return (Skipped(task, "unread_line", line, f"line {n}") for n, line in enumerate(lines))


def _from_measurements(times: Mapping[str, int], job: Job) -> Iterator[Asked]:
    """What the machine measured."""
    ordered = in_order(times)
    for task, quantity in QUANTITIES.items():
        if not all(part in times for part in quantity.parts):
            yield Skipped(task, "not_measured")
        elif len(quantity.parts) > 1 and not ordered:
            yield Skipped(task, "waves_out_of_order")
        elif not quantity.low <= (value := round(quantity.value(times))) <= quantity.high:
            yield Skipped(task, "out_of_range", f"{value} {quantity.unit}")
        else:
            yield ask_number(job.card, task, value, unit=quantity.unit)
    if "qrs_axis" in times:
        yield ask(job.card, "axis", [axis_class(times["qrs_axis"])])
    else:
        yield Skipped("axis", "not_measured")


def _unit(row: Mapping[str, Any], files: tuple[str, ...]) -> Unit:
    key, patient = row["study_id"], row["subject_id"]
    where = f"study_id {key}"
    if not files:
        raise MissingKey(f"{RECORDS} has no row or no path for it", where=where)
    if row["subject_id_machine"] is None:
        raise MissingKey(f"{MEASURED} has no row for it", where=where)
    if patient is None or patient != row["subject_id_machine"]:
        theirs = row["subject_id_machine"]
        raise BadTable(f"is of {patient} in {RECORDS}, of {theirs} in {MEASURED}", where=where)
    if not files[0].endswith(f"/p{patient}/s{key}/{key}.hea"):
        raise BadTable(f"has the path {row['path']!r}, which is of another record", where=where)
    lines = [intern(" ".join(line.split())) for name in LINES if (line := row[name])]
    return Unit(
        key=key,
        files=files,
        group=patient,
        patient=patient,
        facts={"lines": [line for line in lines if line], "measured": measured(row)},
    )


def _repeated(keys: pl.Series) -> list[str]:
    return keys.filter(keys.is_duplicated()).unique().to_list()


def _without_row(job: Job, row_files: set[str]) -> Iterator[Refused]:
    """The files of recordings, headers and signals, that no row names."""
    records: dict[str, list[str]] = {}
    for path in job.raw.files("*.hea", "*.dat", under="files"):
        if path not in row_files:
            records.setdefault(path.rpartition(".")[0], []).append(path)
    for paths in records.values():
        files = tuple(sorted(paths, reverse=True))  # the header first
        yield Refused(files[0], MissingKey(f"no row of {RECORDS} names it", where=files[0]), files)
