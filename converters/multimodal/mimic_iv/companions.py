"""The chest film and the ECG of a stay: the last of the patient before a time of prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from qoqdata.sources.protocol import Job

CXR, ECG, REPORTS = "cxr", "ecg", "reports"
METADATA = "mimic-cxr-2.0.0-metadata.csv.gz"
RECORDINGS = "record_list.csv"
#: The official splits of patients with films.
SPLITS = "mimic-cxr-2.0.0-split.csv.gz"
FRONTAL = ("PA", "AP")
#: Minutes before the beginning of a stay from which films and recordings count.
_BEFORE = 24 * 60

#: When a film and an ECG were taken; null for what is no time.
_CLOCK = pl.col("StudyTime").str.split(".").list.first().str.zfill(6)
_FILM_TIME = (pl.col("StudyDate") + _CLOCK).str.to_datetime("%Y%m%d%H%M%S", strict=False)
_ECG_TIME = pl.col("ecg_time").str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)

#: By stay_id and by hour of prediction.
ByStay = Mapping[str, Mapping[int, Mapping[str, Any]]]


def last_films(job: Job, stays: pl.DataFrame, hours: tuple[int, ...]) -> ByStay:
    """The last frontal film before each of `hours`: `path`, `report` (None without one) and `at`.

    Nothing where MIMIC-CXR is not below the raw root; else its table must be there. `at` is in
    minutes from the beginning of the stay. Times of a patient are shifted alike in all of MIMIC.
    """
    if not job.raw.exists(CXR):
        return {}
    columns = ("dicom_id", "study_id", "subject_id", "ViewPosition", "StudyDate", "StudyTime")
    table = job.raw.csv(f"{CXR}/{METADATA}", columns=columns)
    reports = _reports(job)
    films = (
        table.select(columns)
        .filter(pl.col("ViewPosition").is_in(FRONTAL))
        .with_columns(time=_FILM_TIME, key="dicom_id")
    )
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in _last(films, stays, hours):
        patient, study = row["subject_id"], row["study_id"]
        folder = f"{CXR}/files/p{patient[:2]}/p{patient}/s{study}"
        # Every study has a report: where there are some, one that is not there is missing.
        report = reports.get(study, f"{folder}.txt") if reports else None
        film = {"path": f"{folder}/{row['dicom_id']}.jpg", "report": report}
        found.setdefault(row["stay_id"], {})[row["hour"]] = film | {"at": row["at"]}
    return found


def last_recordings(job: Job, stays: pl.DataFrame, hours: tuple[int, ...]) -> ByStay:
    """The last ECG before each of `hours`: `path` of the header, and `at`.

    Nothing where MIMIC-IV-ECG is not below the raw root. The clock of a cart may be wrong; an ECG
    whose time is not close to a stay is of none.
    """
    if not job.raw.exists(ECG):
        return {}
    columns = ("subject_id", "study_id", "ecg_time", "path")
    table = job.raw.csv(f"{ECG}/{RECORDINGS}", columns=columns)
    recordings = table.select(columns).with_columns(time=_ECG_TIME, key="study_id")
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in _last(recordings, stays, hours):
        recording = {"path": f"{ECG}/{row['path']}.hea", "at": row["at"]}
        found.setdefault(row["stay_id"], {})[row["hour"]] = recording
    return found


def unaccounted(job: Job) -> dict[str, str]:
    """Patients of whom the tables of films and ECGs, or the list of splits, have lost something.

    With what was lost: a file that no row names, a time that is none, or films of a patient who is
    in no split. Their stays might show an earlier film than the last, or stand in another split
    than their films.
    """
    lost: dict[str, str] = {}
    if job.raw.exists(CXR):
        columns = ("dicom_id", "subject_id", "StudyDate", "StudyTime")
        films = job.raw.csv(f"{CXR}/{METADATA}", columns=columns)
        for patient, film in films.filter(_FILM_TIME.is_null())["subject_id", "dicom_id"].rows():
            lost[patient] = f"{METADATA} has no time of {film} that can be read"
        names = set(films["dicom_id"])
        for path in job.raw.files("*.jpg", under=CXR):
            if (name := path.rpartition("/")[2].removesuffix(".jpg")) not in names:
                lost[_patient(path)] = f"{METADATA} does not name {name}"
        if job.raw.exists(SPLITS):
            listed = set(job.raw.csv(SPLITS, columns=("subject_id",))["subject_id"])
            for patient in sorted(set(films["subject_id"].drop_nulls()) - listed):
                lost[patient] = f"{SPLITS} does not list the patient, who has films"
    if job.raw.exists(ECG):
        columns = ("path", "subject_id", "study_id", "ecg_time")
        recordings = job.raw.csv(f"{ECG}/{RECORDINGS}", columns=columns)
        untimed = recordings.filter(_ECG_TIME.is_null())
        for patient, study in untimed["subject_id", "study_id"].rows():
            lost[patient] = f"{RECORDINGS} has no time of {study} that can be read"
        names = set(recordings["path"])
        for path in job.raw.files("*.hea", under=ECG):
            if path.removeprefix(f"{ECG}/").removesuffix(".hea") not in names:
                lost[_patient(path)] = f"{RECORDINGS} does not name {path}"
    return lost


def _patient(path: str) -> str:
    """The patient's folder: the last but two of cxr/files/p10/p10000032/s50414267/name."""
    return path.split("/")[-3].removeprefix("p")


def _reports(job: Job) -> dict[str, str]:
    """The reports by study."""
    return {
        path.rpartition("/")[2].removeprefix("s").removesuffix(".txt"): path
        for folder in (REPORTS, CXR)
        if job.raw.exists(folder)
        for path in job.raw.files("s*.txt", under=folder)
    }


def _last(
    things: pl.DataFrame, stays: pl.DataFrame, hours: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Of each stay and hour the last of the patient's `things`, by time and then by key."""
    own = stays.select("stay_id", "subject_id", "intime")
    near = (
        things.join(own, on="subject_id", how="inner")
        .with_columns(at=(pl.col("time") - pl.col("intime")).dt.total_minutes())
        .filter(pl.col("at") >= -_BEFORE)
    )
    rows = []
    for hour in hours:
        before = near.filter(pl.col("at") < hour * 60).sort("stay_id", "at", "key")
        last = before.group_by("stay_id", maintain_order=True).last()
        rows += last.with_columns(hour=pl.lit(hour)).to_dicts()
    return rows
