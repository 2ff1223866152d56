"""ICU stays: what is known when one begins, and, in a table of its own, what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from qoqdata.person import read_age, read_sex

from .tables import INPUTS, OUTCOMES, read_some, read_whole, time_of

#: Columns of the table of inputs beside the keys; `fault` says why a stay is none.
KNOWN = ("age", "sex", "careunit", "admission_type", "admission_location", "hours_before")
INPUT_COLUMNS = ("stay_id", "subject_id", "hadm_id", "intime", *KNOWN, "fault", "message")
OUTCOME_COLUMNS = (
    "stay_id",
    "icu_hours",
    "hospital_days",
    "left_hours",
    "died",
    "death_hours",
    "codes",
    "fault",
)


def read_stays(tables: Mapping[str, Path]) -> pl.DataFrame:
    """One row a stay, sorted by stay_id, of INPUT_COLUMNS, all text but `intime`.

    A stay that is listed twice, or without its patient, admission or time, has a fault.
    """
    columns = {name: INPUTS[name] for name in ("icu/icustays", "hosp/admissions", "hosp/patients")}
    stays = read_whole(tables["icu/icustays"], columns["icu/icustays"])
    admissions = read_some(
        tables["hosp/admissions"], columns["hosp/admissions"], "hadm_id", stays["hadm_id"]
    ).rename({"subject_id": "admitted"})
    patients = read_some(
        tables["hosp/patients"], columns["hosp/patients"], "subject_id", stays["subject_id"]
    )
    counted = stays.with_columns(rows=pl.len().over("stay_id")).unique("stay_id", keep="first")
    joined = (
        counted.join(_once(admissions, "hadm_id", "admissions"), on="hadm_id", how="left")
        .join(_once(patients, "subject_id", "patients"), on="subject_id", how="left")
        .with_columns(intime=time_of("intime"), admittime=time_of("admittime"))
        .sort(pl.col("stay_id").cast(pl.Int64, strict=False), "stay_id")
    )
    faults: dict[str, tuple[pl.Expr, str]] = {
        "duplicate_key": (pl.col("rows") > 1, "icustays lists it more than once"),
        "missing_key": (
            pl.col("admissions").is_null() | pl.col("patients").is_null(),
            "admissions or patients has no row, or several, for it",
        ),
        "bad_table": (
            pl.col("intime").is_null()
            | pl.col("admittime").is_null()
            | (pl.col("admitted") != pl.col("subject_id")),
            "its times cannot be read, or its admission is another patient's",
        ),
    }
    fault, message = pl.lit(None, pl.String), pl.lit(None, pl.String)
    for code, (is_so, words) in reversed(faults.items()):
        holds = is_so.fill_null(False)
        fault = pl.when(holds).then(pl.lit(code)).otherwise(fault)
        message = pl.when(holds).then(pl.lit(words)).otherwise(message)
    before = (pl.col("intime") - pl.col("admittime")).dt.total_minutes() / 60
    age = (
        pl.col("anchor_age").cast(pl.Int32, strict=False)
        + pl.col("intime").dt.year()
        - pl.col("anchor_year").cast(pl.Int32, strict=False)
    )
    return joined.with_columns(
        age=age.map_elements(read_age, return_dtype=pl.Int64).cast(pl.String),
        sex=pl.col("gender").map_elements(read_sex, return_dtype=pl.String),
        careunit="first_careunit",
        hours_before=before.round(0).cast(pl.Int64).cast(pl.String),
        fault=fault,
        message=message,
    ).select(INPUT_COLUMNS)


def read_outcomes(tables: Mapping[str, Path]) -> pl.DataFrame:
    """One row a stay, sorted by stay_id, of OUTCOME_COLUMNS, all text.

    Hours count from the beginning of the stay; `codes` are the ICD codes as version:code in their
    order. `fault` says that the times contradict each other.
    """
    stays = read_whole(tables["icu/icustays"], OUTCOMES["icu/icustays"]).unique(
        "stay_id", keep="first"
    )
    admissions = read_some(
        tables["hosp/admissions"], OUTCOMES["hosp/admissions"], "hadm_id", stays["hadm_id"]
    )
    codes = (
        read_some(
            tables["hosp/diagnoses_icd"], OUTCOMES["hosp/diagnoses_icd"], "hadm_id",
            stays["hadm_id"],
        )
        .with_columns(seq_num=pl.col("seq_num").cast(pl.Int32, strict=False))
        .sort("hadm_id", "seq_num", "icd_version", "icd_code")
        .group_by("hadm_id", maintain_order=True)
        .agg(codes=(pl.col("icd_version").str.strip_chars() + ":"
                    + _icd("icd_code")).str.join(" "))
    )  # fmt: skip
    joined = (
        stays.join(admissions.unique("hadm_id", keep="first"), on="hadm_id", how="left")
        .join(codes, on="hadm_id", how="left")
        .with_columns(unread=_unread("outtime", "dischtime", "deathtime"))
        .with_columns(time_of(one) for one in ("outtime", "dischtime", "deathtime"))
        .with_columns(intime=time_of("intime"), admittime=time_of("admittime"))
        .sort(pl.col("stay_id").cast(pl.Int64, strict=False), "stay_id")
    )
    died = pl.col("hospital_expire_flag") == "1"
    contradiction = (
        pl.when("unread")
        .then(pl.lit("has a time that cannot be read"))
        .when(pl.col("dischtime") < pl.col("admittime"))
        .then(pl.lit("is discharged before it begins"))
        .when(pl.col("outtime") < pl.col("intime"))
        .then(pl.lit("leaves the unit before it begins"))
        .when(died != pl.col("deathtime").is_not_null())
        .then(pl.lit("died by one of hospital_expire_flag and deathtime only"))
        .when(pl.col("deathtime") < pl.col("intime"))
        .then(pl.lit("died before it begins"))
    )
    return joined.with_columns(
        icu_hours=_hours("outtime", "intime"),
        hospital_days=(pl.col("dischtime") - pl.col("admittime")).dt.total_minutes() / 1440,
        died=died.cast(pl.Int8),
        death_hours=_hours("deathtime", "intime"),
        left_hours=_hours("dischtime", "intime"),
        fault=contradiction,
    ).select(pl.col(name).cast(pl.String) for name in OUTCOME_COLUMNS)


def _unread(*columns: str) -> pl.Expr:
    """Whether one of the columns says something, and no time."""
    return pl.any_horizontal(pl.col(one).is_not_null() & time_of(one).is_null() for one in columns)


def _icd(column: str) -> pl.Expr:
    """Codes as MIMIC writes them, without dots and in capitals, which others put back."""
    return (
        pl.col(column).str.strip_chars().str.replace_all(".", "", literal=True).str.to_uppercase()
    )


def _hours(later: str, earlier: str) -> pl.Expr:
    return (pl.col(later) - pl.col(earlier)).dt.total_minutes() / 60


def _once(table: pl.DataFrame, key: str, name: str) -> pl.DataFrame:
    """The rows whose key no other has, marked by a column `name`."""
    return table.filter(pl.len().over(key) == 1).with_columns(pl.lit(1).alias(name))
