"""PTB-XL: 12-lead ECGs with SCP statements; official folds are patient-disjoint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.contract.vocabulary import AGE_CAP, Split
from qoqdata.errors import BadTable, InputError, MissingKey
from qoqdata.person import read_age
from qoqdata.sources import cells
from qoqdata.sources.asking import ask, ask_number, translate
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from ..recordings import questions, read_pair
from . import signal_quality
from .statements import Code, read_codes, read_likelihoods, states

SEX = {"0": "male", "0.0": "male", "1": "female", "1.0": "female"}
FILES = {"500": ("filename_hr", "records500"), "100": ("filename_lr", "records100")}
#: How the table writes "over 89".
OVER_89 = 300
STAGES = ("infarction_stadium1", "infarction_stadium2")
#: The cells of a row that questions are made of, as they stand.
ASKED = ("heart_axis", *STAGES, *signal_quality.COLUMNS)
COLUMNS = (
    *("ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", "validated_by_human"),
    *ASKED,
)
#: The statements that a multi task is about, and why it is not asked where there is none.
STATED = {
    "diagnosis": "no_diagnostic_statement",
    "subclass": "no_diagnostic_statement",
    "statements": "no_diagnostic_statement",
    "form": "no_form_statement",
    "rhythm": "no_rhythm_statement",
}

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def plan(job: Job) -> Iterator[Planned]:
    """One unit an ECG, joined to its statements by ecg_id."""
    column, folder = FILES[job.options["rate"]]
    table = job.raw.csv("ptbxl_database.csv", columns=[*COLUMNS, column])
    codes = read_codes(job)
    row_files: set[str] = set()
    for row in table.iter_rows(named=True):
        stem = row[column] or ""
        files = (f"{stem}.hea", f"{stem}.dat")
        row_files.update(files)
        try:
            yield _unit(row, files, codes)
        except InputError as error:
            yield Refused(str(row["ecg_id"]), error, files)
    yield from _without_row(job, folder, row_files)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about one recording; all leads in mV at the rate of the file."""
    recording = read_pair(unit.files[0], unit.files[1], job, rate=float(job.options["rate"]))
    facts = unit.facts
    return questions(
        _asked(unit, job),
        recording,
        age=facts["age"],
        sex=facts["sex"],
        notes=tuple(facts["notes"]),
    )


def _asked(unit: Unit, job: Job) -> Iterator[Asked]:
    """What the row of an ECG answers."""

    def options(task: str, names: list[str]) -> list[str]:
        return [translate(job.card, name, where=unit.key, task=task) for name in names]

    for task, reason in STATED.items():
        present, doubted = unit.facts[task]
        if present:
            yield ask(job.card, task, options(task, present), uncertain=options(task, doubted))
        else:
            yield Skipped(task, reason)
    row = unit.facts["row"]
    if (axis := row["heart_axis"]) in job.card.tasks["axis"].labels:
        yield ask(job.card, "axis", options("axis", [axis]))
    else:
        reason = "not_stated" if axis is None else "unexplained_code"
        yield Skipped("axis", reason, f"heart_axis {axis}")
    stages = {row[column] for column in STAGES} - {None}
    if known := sorted(stages - {"unknown"}):
        yield ask(job.card, "infarction_stage", options("infarction_stage", known))
    else:
        yield Skipped("infarction_stage", "unknown" if stages else "not_stated")
    yield ask(job.card, "technical", signal_quality.noted(row))
    for column in signal_quality.DISTURBANCES:
        if not (cell := row[column]):
            yield Skipped("disturbed_leads", "not_disturbed", item=column)
        elif (leads := signal_quality.disturbed_leads(cell)) is None:
            yield Skipped("disturbed_leads", "unread_leads", cell, column)
        else:
            name = signal_quality.DISTURBANCES[column].lower()
            wordings = job.card.tasks["disturbed_leads"].wordings
            forms = [wording.replace("{disturbance}", name) for wording in wordings]
            yield ask(job.card, "disturbed_leads", leads, question=forms) | {"item": column}
    if not (cell := row["extra_beats"]):
        yield Skipped("extra_beats", "not_stated")
    elif (count := signal_quality.extra_beats(cell)) is None:
        yield Skipped("extra_beats", "not_counted", cell)
    else:
        yield ask_number(job.card, "extra_beats", count, unit="1")


def _without_row(job: Job, folder: str, row_files: set[str]) -> Iterator[Refused]:
    """The files of records, headers and signals, that no row names."""
    if not job.raw.exists(folder):
        return
    records: dict[str, list[str]] = {}
    for path in job.raw.files("*.hea", "*.dat", under=folder):
        if path not in row_files:
            records.setdefault(path.rpartition(".")[0], []).append(path)
    for paths in records.values():
        files = tuple(sorted(paths, reverse=True))  # the header first
        what = "no row of ptbxl_database.csv names this record"
        yield Refused(files[0], MissingKey(what, where=files[0]), files)


def _unit(row: Mapping[str, Any], files: tuple[str, ...], codes: Mapping[str, Code]) -> Unit:
    key = row["ecg_id"]
    where = f"ecg_id {key}"
    patient = cells.integer(row["patient_id"])
    if patient is None:
        raise MissingKey("names no patient", where=where)
    # Files are called by their ECG: 00017_hr is of ecg_id 17.
    stem = files[0].rpartition("/")[2].partition("_")[0]
    if cells.integer(stem) != cells.integer(key):
        raise BadTable(f"names the file {files[0]!r}, which is of another ECG", where=where)
    stated = read_likelihoods(row["scp_codes"], codes, where=where)
    kinds = {
        task: states((code, value) for code, value in stated.items() if kind in codes[code].kinds)
        for task, kind in (("statements", "diagnostic"), ("form", "form"), ("rhythm", "rhythm"))
    }
    # A class is there whatever the likelihood of its statements; 0 means: not stated.
    diagnosis = states((codes[code].superclass, value) for code, value in stated.items())
    subclass = states((codes[code].subclass, value) for code, value in stated.items())
    by_hand = (row["validated_by_human"] or "").strip().lower() == "true"
    notes = () if by_hand else ("statements not validated by a person",)
    axis = cells.text(row["heart_axis"])
    return Unit(
        key=key,
        files=files,
        group=str(patient),
        patient=str(patient),
        split=_split(row["strat_fold"], where=where),
        facts={
            **kinds,
            "diagnosis": diagnosis,
            "subclass": subclass,
            "row": {name: row[name] for name in ASKED},
            "age": AGE_CAP if cells.integer(row["age"]) == OVER_89 else read_age(row["age"]),
            "sex": cells.sex(row["sex"], SEX),
            "notes": (*notes, *([f"heart_axis {axis}"] if axis else ())),
        },
    )


def _split(fold: str | None, *, where: str) -> Split:
    number = cells.integer(fold)
    if number is None or not 1 <= number <= 10:
        raise BadTable(f"strat_fold {fold!r} is not 1 to 10", where=where)
    if number <= 8:
        return "train"
    return "validation" if number == 9 else "test"
