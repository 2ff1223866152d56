"""A made-up MIMIC-IV: tables of stays and events, films with reports, ECGs; prepared as well."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.simulation import (
    ecg,
    film,
    official_split,
    write_csv,
    write_jpeg,
    write_text,
    write_wfdb,
)

from .events import read_items
from .prepare import FOLDER, prepare

QUIRKS = {
    "duplicate_key": "a stay that is listed twice",
    "missing_key": "a stay whose patient has no row",
    "bad_table": "a stay that died by its flag and not by its time; one that ends before it begins",
    "missing_file": "a film that was not fetched",
}
FAULTS = ("twice", "no patient", "flag", "ends first", "late ECG", "no film", "wrong patient")
UNITS = ("Medical Intensive Care Unit (MICU)", "Cardiac Vascular Intensive Care Unit (CVICU)")
#: Codes of discharge by version.
CODES = {
    "10": ("I214", "A419", "N179", "J9601", "I5021", "K7030", "S72001A", "E1110", "J189"),
    "9": ("41071", "0389", "5849", "51881", "4280", "5712", "82000", "25013", "486"),
}
#: A usual value of each item, in the unit that is told.
USUAL = {
    "heart_rate": 88, "respiratory_rate": 19, "spo2": 96, "abp_systolic": 118, "abp_mean": 78,
    "nbp_systolic": 121, "nbp_mean": 80, "temperature": 37, "gcs_eye": 3, "gcs_verbal": 4,
    "gcs_motor": 5, "fio2": 45, "lactate": 2.1, "ph": 7.36, "bicarbonate": 23, "bilirubin": 0.9,
    "creatinine": 1.3, "glucose": 135, "potassium": 4.2, "sodium": 139, "bun": 24,
    "hemoglobin": 10.4, "inr": 1.3, "platelets": 190, "wbc": 11,
}  # fmt: skip
Row = dict[str, Any]


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` stays of about 2 n / 3 patients: short ones, deaths within two days, discharges.

    Two in three have a film with a report, every second an ECG. With quirks, every second stay has
    one of FAULTS.
    """
    rng = np.random.default_rng(seed)
    columns: tuple[str, ...]
    tables: dict[str, list[Row]] = {name: [] for name in (
        "icu/icustays", "hosp/admissions", "hosp/patients", "hosp/diagnoses_icd",
        "icu/chartevents", "hosp/labevents", "films", "recordings",
    )}  # fmt: skip
    patients = dict[int, int]()
    for number in range(n):
        fault = FAULTS[number // 2 % len(FAULTS)] if quirks and number % 2 else ""
        patient = 10_000_000 + 37 * (number - number % 3 // 2)
        if patient not in patients:
            patients[patient] = number
            if fault != "no patient":
                tables["hosp/patients"].append(
                    {"subject_id": patient, "gender": "FM"[number % 2],
                     "anchor_age": 91 if number % 9 == 4 else 30 + 7 * number % 60,
                     "anchor_year": 2150, "dod": None})  # fmt: skip
        elif fault == "no patient":
            fault = "twice"
        _stay(out, tables, number, patient, rng, fault=fault)
    for name in ("icu/icustays", "hosp/admissions", "hosp/patients", "hosp/diagnoses_icd",
                 "icu/chartevents", "hosp/labevents"):  # fmt: skip
        write_csv(out / f"{name}.csv.gz", tables[name])
    items = read_items()
    for table, name in (("icu/chartevents", "icu/d_items"), ("hosp/labevents", "hosp/d_labitems")):
        own = items.filter(table=table).select("itemid", label="stated").to_dicts()
        write_csv(out / f"{name}.csv.gz", [*own, {"itemid": 1, "label": "Something else"}])
    keys = ("dicom_id", "study_id", "subject_id")
    splits = [
        {name: row[name] for name in keys} | {"split": official_split(row["subject_id"])}
        for row in tables["films"]
    ]
    write_csv(out / "mimic-cxr-2.0.0-split.csv.gz", splits, columns=(*keys, "split"))
    columns = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime")
    write_csv(out / "cxr/mimic-cxr-2.0.0-metadata.csv.gz", tables["films"], columns=columns)
    columns = ("subject_id", "study_id", "file_name", "ecg_time", "path")
    write_csv(out / "ecg/record_list.csv", tables["recordings"], columns=columns)
    prepare(out, out / FOLDER)


def _stay(
    out: Path, tables: dict[str, list[Row]], number: int, patient: int, rng: np.random.Generator,
    *, fault: str,
) -> None:  # fmt: skip
    stay, admission = 30_000_000 + number, 20_000_000 + number
    begin = datetime(2150 + number % 3, 1 + number % 12, 3, 4, 30) + timedelta(hours=number % 20)
    hours = 12.0 if number % 8 == 7 else float(rng.integers(50, 200))
    admitted = begin - timedelta(hours=int(rng.integers(0, 30)))
    death = None
    if number % 5 == 3:
        death = begin + timedelta(hours=hours if hours > 48 else 60)
    if number % 11 == 5:
        hours, death = 40.0, begin + timedelta(hours=40)
    end = begin + timedelta(hours=hours)
    left = death or end + timedelta(hours=30)
    row = {"subject_id": patient, "hadm_id": admission, "stay_id": stay,
           "first_careunit": UNITS[number % 2], "last_careunit": UNITS[0],
           "intime": begin, "outtime": begin - timedelta(hours=2) if fault == "ends first" else end,
           "los": round(hours / 24, 4)}  # fmt: skip
    tables["icu/icustays"] += [row] * (2 if fault == "twice" else 1)
    tables["hosp/admissions"].append({
        "subject_id": patient + 1 if fault == "wrong patient" else patient, "hadm_id": admission,
        "admittime": admitted, "dischtime": left, "deathtime": None if fault == "flag" else death,
        "admission_type": "EW EMER.", "admission_location": "EMERGENCY ROOM",
        "discharge_location": "DIED" if death else "HOME",
        "hospital_expire_flag": 1 if fault == "flag" else int(death is not None)})  # fmt: skip
    version = ("10", "9")[number % 2]
    count = int(rng.integers(1, 5))
    for place, code in enumerate(rng.choice(CODES[version], count, replace=False), start=1):
        tables["hosp/diagnoses_icd"].append({"subject_id": patient, "hadm_id": admission,
                                             "seq_num": place, "icd_code": str(code),
                                             "icd_version": version})  # fmt: skip
    _events(tables, patient, admission, stay, begin, hours, rng)
    if number % 3 or fault == "no film":
        _film(out, tables, number, patient, begin, rng, there=fault != "no film")
    if number % 2 == 0 or fault == "late ECG":
        late = timedelta(days=900 if fault == "late ECG" else 0)
        _recording(out, tables, number, patient, begin + late, rng)


def _events(
    tables: dict[str, list[Row]], patient: int, admission: int, stay: int, begin: datetime,
    hours: float, rng: np.random.Generator,
) -> None:  # fmt: skip
    for item in read_items().iter_rows(named=True):
        charted = item["table"] == "icu/chartevents"
        middle = USUAL[item["item"]] - item["offset"]
        for turn in range(3 if charted else 2):
            minutes = float(rng.uniform(0, hours * 60)) if turn else float(rng.uniform(0, 600))
            time = begin + timedelta(minutes=int(minutes))
            unit = item["units"].split("|")[0]
            row: Row = {
                "subject_id": patient, "hadm_id": admission if charted or turn else None,
                **({"stay_id": stay} if charted else {"labevent_id": turn}),
                "charttime": time, "storetime": time + timedelta(minutes=int(rng.integers(1, 90))),
                "itemid": item["itemid"], "value": "x,y" if turn else None,
                "valuenum": round(middle / item["scale"] * float(rng.uniform(0.97, 1.03)), 2),
                "valueuom": "other" if rng.random() < 0.03 else None if unit == "-" else unit,
            }  # fmt: skip
            tables[item["table"]].append(row)


def _film(
    out: Path, tables: dict[str, list[Row]], number: int, patient: int, begin: datetime,
    rng: np.random.Generator, *, there: bool,
) -> None:  # fmt: skip
    for place, hour in enumerate((2, 40, 60)):
        study, time = 50_000_000 + 10 * number + place, begin + timedelta(hours=hour)
        name = f"{study:08x}-film"
        tables["films"].append({"dicom_id": name, "subject_id": patient, "study_id": study,
                                "ViewPosition": ("AP", "PA")[place % 2],
                                "StudyDate": time.strftime("%Y%m%d"),
                                "StudyTime": f"{int(time.strftime('%H%M%S'))}.5"})  # fmt: skip
        folder = out / f"cxr/files/p{str(patient)[:2]}/p{patient}/s{study}"
        if there:
            write_jpeg(folder / f"{name}.jpg", film(rng, (56, 48)))
        text = f" FINDINGS: Lungs of film {place}.\n\n IMPRESSION: No change since ___.\n"
        write_text(folder.with_suffix(".txt"), text)


def _recording(
    out: Path, tables: dict[str, list[Row]], number: int, patient: int, begin: datetime,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    for place, hour in enumerate((1, 70)):
        study = 40_000_000 + 10 * number + place
        path = f"files/p{str(patient)[:4]}/p{patient}/s{study}/{study}"
        tables["recordings"].append({"subject_id": patient, "study_id": study, "file_name": study,
                                     "ecg_time": begin + timedelta(hours=hour),
                                     "path": path})  # fmt: skip
        write_wfdb(out / "ecg" / path, ecg(rng, 500, 2, TWELVE), 500, TWELVE)
