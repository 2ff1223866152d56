"""A small MIMIC-IV by hand: stays of stated hours, and the values that a test charts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from qoqdata.converters.multimodal.mimic_iv.events import read_items

from qoqdata.simulation import write_csv

BEGIN = datetime(2150, 3, 1, 8, 0)
HEART, CREATININE = 220045, 50912
Row = dict[str, Any]


def hours(number: float) -> datetime:
    """A time so many hours after the beginning of the first stay."""
    return BEGIN + timedelta(hours=number)


@dataclass
class Tables:
    """Rows by table; `write` writes them in the publisher's layout."""

    rows: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, table: str, **row: Any) -> Row:
        self.rows.setdefault(table, []).append(row)
        return row

    def stay(
        self, stay: int, *, patient: int = 1, start: float = 0, icu: float = 100,
        hospital: float = 200, death: float | None = None, codes: tuple[str, ...] = ("10:I214",),
    ) -> None:  # fmt: skip
        """A stay; times in hours after BEGIN plus `start`, codes as version:code."""
        begin, died = hours(start), death is not None
        left = hours(start + (death if death is not None else hospital))
        self.add("icu/icustays", subject_id=patient, hadm_id=stay * 10, stay_id=stay,
                 first_careunit="MICU", last_careunit="SICU", intime=begin,
                 outtime=hours(start + icu), los=icu / 24)  # fmt: skip
        self.add("hosp/admissions", subject_id=patient, hadm_id=stay * 10,
                 admittime=hours(start - 5), dischtime=left, deathtime=left if died else None,
                 admission_type="URGENT", admission_location="CLINIC",
                 discharge_location="DIED" if died else "HOME",
                 hospital_expire_flag=int(died))  # fmt: skip
        if patient not in {row["subject_id"] for row in self.rows.get("hosp/patients", ())}:
            self.add("hosp/patients", subject_id=patient, gender="F", anchor_age=60,
                     anchor_year=2148, dod=None)  # fmt: skip
        for place, code in enumerate(codes, start=1):
            version, _, icd = code.partition(":")
            self.add("hosp/diagnoses_icd", subject_id=patient, hadm_id=stay * 10, seq_num=place,
                     icd_code=icd, icd_version=version)  # fmt: skip

    def chart(self, stay: int, at: float, value: Any, *, patient: int = 1, **more: Any) -> None:
        """A heart rate, stored when it is charted."""
        self.add("icu/chartevents", **{
            "subject_id": patient, "hadm_id": stay * 10, "stay_id": stay, "charttime": hours(at),
            "storetime": hours(at), "itemid": HEART, "value": value, "valuenum": value,
            "valueuom": "bpm"} | more)  # fmt: skip

    def lab(self, at: float, value: Any, *, patient: int = 1, **more: Any) -> None:
        """A creatinine of no admission."""
        self.add("hosp/labevents", **{
            "labevent_id": 1, "subject_id": patient, "hadm_id": None, "charttime": hours(at),
            "storetime": hours(at), "itemid": CREATININE, "value": value, "valuenum": value,
            "valueuom": "mg/dL", "comments": 'a "quoted",\nlong\ncomment'} | more)  # fmt: skip

    def write(self, raw: Path, *, suffix: str = ".csv.gz") -> None:
        """All tables below `raw`; of events at least one of nobody's."""
        if "icu/chartevents" not in self.rows:
            self.chart(0, 0, 1, patient=0)
        if "hosp/labevents" not in self.rows:
            self.lab(0, 1, patient=0)
        for name, rows in self.rows.items():
            write_csv(raw / f"{name}{suffix}", rows)
        items = read_items()
        for table, name in (("icu/chartevents", "icu/d_items"),
                            ("hosp/labevents", "hosp/d_labitems")):  # fmt: skip
            own = items.filter(table=table).select("itemid", label="stated").to_dicts()
            write_csv(raw / f"{name}.csv.gz", own)
