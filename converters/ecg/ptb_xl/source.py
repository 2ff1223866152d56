"""PTB-XL: 12-lead ECGs with SCP statements; official folds are patient-disjoint."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.contract.vocabulary import AGE_CAP, Split
from qoqdata.errors import BadLabel, BadTable, InputError, MissingKey, UnreadableFile
from qoqdata.person import read_age
from qoqdata.readers import ecg
from qoqdata.readers.ecg.data_file import signal_names
from qoqdata.readers.ecg.header import read_wfdb_header
from qoqdata.records.content import Ecg, Record
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.cells import integer
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit

SEX = {"0": "male", "1": "female"}
FILES = {"500": ("filename_hr", "records500"), "100": ("filename_lr", "records100")}
#: How the table writes "over 89".
OVER_89 = 300
#: Below this stated likelihood (per cent) a statement counts as uncertain.
UNCERTAIN_BELOW = 50


def plan(job: Job) -> Iterator[Planned]:
    """One unit an ECG with a diagnostic statement, joined to its statements by ecg_id."""
    column, folder = FILES[job.options["rate"]]
    columns = ["ecg_id", "patient_id", "age", "sex", "scp_codes", "strat_fold", column]
    table = job.raw.csv("ptbxl_database.csv", columns=columns)
    classes = _classes(job)
    row_files: set[str] = set()
    for row in table.iter_rows(named=True):
        stem = row[column] or ""
        files = (f"{stem}.hea", f"{stem}.dat")
        row_files.update(files)
        try:
            yield _unit(row, files, classes)
        except InputError as error:
            yield Refused(str(row["ecg_id"]), error, files)
    yield from _without_row(job, folder, row_files)


def convert(unit: Unit, job: Job) -> list[Record]:
    """All leads in mV at the rate of the file."""
    path = job.raw.resolve(unit.files[0])
    signal = unit.files[1].rpartition("/")[2]
    if (names := signal_names(read_wfdb_header(path), path)) != [signal]:
        what = f"the header names {', '.join(names) or 'no file'} for its signal, not {signal}"
        raise UnreadableFile(what, where=unit.files[0], fix="fetch the header again")
    recording = ecg.read_ecg(path, limits=job.limits)
    facts = unit.facts
    labels = [translate(job.card, name, where=unit.key) for name in facts["classes"]]
    uncertain = [translate(job.card, name, where=unit.key) for name in facts["uncertain"]]
    return [
        Record(
            **ask(job.card, "diagnosis", labels, uncertain=uncertain),
            ecg=Ecg(recording.leads, recording.fs, recording.signal, recording.valid),
            age=facts["age"],
            sex=facts["sex"],
            notes=recording.repairs,
        )
    ]


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


def _classes(job: Job) -> dict[str, str | None]:
    """The diagnostic class of every SCP code; None for form and rhythm statements."""
    # The column of the codes has no name.
    columns = ["", "diagnostic", "diagnostic_class"]
    table = job.raw.csv("scp_statements.csv", columns=columns)
    return {
        row[""]: row["diagnostic_class"] if row["diagnostic"] else None
        for row in table.iter_rows(named=True)
    }


def _unit(
    row: Mapping[str, Any], files: tuple[str, ...], classes: Mapping[str, str | None]
) -> Unit | Filtered:
    key = row["ecg_id"]
    patient = integer(row["patient_id"])
    if patient is None:
        raise MissingKey("names no patient", where=f"ecg_id {key}")
    assertions, uncertain = _statements(row["scp_codes"], classes, where=f"ecg_id {key}")
    if not assertions:
        # Form and rhythm alone say nothing about the classes, not even that they are absent.
        return Filtered(key, "no_label", "no statement is diagnostic", files)
    return Unit(
        key=key,
        files=files,
        group=str(patient),
        patient=str(patient),
        split=_split(row["strat_fold"], where=f"ecg_id {key}"),
        facts={
            "classes": assertions,
            "uncertain": uncertain,
            "age": AGE_CAP if integer(row["age"]) == OVER_89 else read_age(row["age"]),
            "sex": SEX.get(row["sex"]),
        },
    )


def _statements(
    text: str | None, classes: Mapping[str, str | None], *, where: str
) -> tuple[list[str], list[str]]:
    """Diagnostic classes that are present, and those of them that are uncertain."""
    try:
        codes = ast.literal_eval(text or "")
        likelihoods = {str(code): float(value) for code, value in codes.items()}
    except (ValueError, SyntaxError, AttributeError, TypeError, MemoryError, RecursionError):
        raise BadTable(f"scp_codes {text!r} cannot be parsed", where=where) from None
    if unknown := sorted(set(likelihoods) - set(classes)):
        raise BadLabel(f"SCP code {unknown[0]} is not in scp_statements.csv", where=where)
    by_class: dict[str, list[float]] = {}
    for code, likelihood in likelihoods.items():
        if (name := classes[code]) is not None:
            by_class.setdefault(name, []).append(likelihood)
    uncertain = [
        name
        for name, values in sorted(by_class.items())
        if all(0 < value < UNCERTAIN_BELOW for value in values)
    ]
    return sorted(by_class), uncertain


def _split(fold: str | None, *, where: str) -> Split:
    number = integer(fold)
    if number is None or not 1 <= number <= 10:
        raise BadTable(f"strat_fold {fold!r} is not 1 to 10", where=where)
    if number <= 8:
        return "train"
    return "validation" if number == 9 else "test"
