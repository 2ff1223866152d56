"""MIMIC-IV: what is known when a question is asked, and what no context may hold."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qoqdata.converters.multimodal.mimic_iv.prepare import FOLDER, prepare
from qoqdata.converters.multimodal.mimic_iv.tables import INPUTS, KEYS, OUTCOMES

from qoqdata.errors import BadTable, MissingFile, MissingKey
from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.records.content import Record
from qoqdata.simulation import write_csv, write_jpeg, write_text, write_wfdb
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw
from tests.converters.multimodal.tables import Tables, hours

SOURCE = find_source("mimic_iv")
#: Columns that tell, or are filled in after, how a stay ends.
HINDSIGHT = {
    "icu/icustays": ("outtime", "los", "last_careunit"),
    "hosp/admissions": ("dischtime", "deathtime", "discharge_location", "hospital_expire_flag"),
    "hosp/patients": ("dod",),
}


def _job(raw: Path) -> Job:
    return Job(SOURCE.card, open_raw(raw), options={"report_hours": 12})


def _planned(tables: Tables, raw: Path) -> dict[str, Planned]:
    tables.write(raw)
    prepare(raw, raw / FOLDER)
    return {one.key: one for one in SOURCE.plan(_job(raw))}


def _asked(tables: Tables, raw: Path, stay: str = "1") -> dict[str, Any]:
    unit = _planned(tables, raw)[stay]
    assert isinstance(unit, Unit), unit
    return {one.task: one for one in SOURCE.convert(unit, _job(raw))}


def _contexts(tables: Tables, raw: Path) -> dict[str, str]:
    """What is told, by task."""
    asked = _asked(tables, raw)
    return {task: str(one.context) for task, one in asked.items() if isinstance(one, Record)}


def _one(**more: Any) -> Tables:
    tables = Tables()
    tables.stay(1, **more)
    tables.chart(1, 2, 81)
    tables.chart(1, 30, 93)
    tables.lab(-3, 1.7)
    return tables


def test_no_column_of_inputs_is_one_of_hindsight() -> None:
    """The prior pipeline handed over the whole row of the admission."""
    for table, columns in INPUTS.items():
        told = set(columns) - KEYS
        assert not told & set(OUTCOMES.get(table, ())), table
        assert not told & set(HINDSIGHT.get(table, ())), table
    assert not {name for name in INPUTS if "diagnoses" in name or "procedures" in name}


def test_what_is_known_does_not_depend_on_what_becomes_of_it(tmp_path: Path) -> None:
    """Two trees that differ in every column of hindsight, in the diagnoses, and in everything that
    was charted later, give the same prepared inputs to the byte, and the same contexts."""
    alive = _one(codes=("10:I214",))
    dead = deepcopy(alive)
    dead.rows["icu/icustays"][0] |= {"outtime": hours(60), "los": 2.5, "last_careunit": "CVICU"}
    dead.rows["hosp/admissions"][0] |= {
        "dischtime": hours(60), "deathtime": hours(60), "discharge_location": "DIED",
        "hospital_expire_flag": 1}  # fmt: skip
    dead.rows["hosp/patients"][0]["dod"] = "2150-03-03"
    dead.rows["hosp/diagnoses_icd"][0] |= {"icd_code": "A419"}
    dead.chart(1, 50, 222)
    dead.lab(49, 9.9)
    told, later = (_contexts(one, tmp_path / name) for one, name in ((alive, "a"), (dead, "b")))
    # Who dies is not asked for the length of stay.
    assert told.keys() - later.keys() == {"length_of_stay"}
    assert {task: told[task] for task in later} == later
    for name in ("stays.parquet", "inputs/00000.parquet"):
        first, second = ((tmp_path / tree / FOLDER / name).read_bytes() for tree in "ab")
        assert first == second
    words = " ".join(later.values()).lower()
    assert not any(word in words for word in ("died", "home", "2150", "i214", "a419", "222"))


@pytest.mark.parametrize(
    ("charted", "stored", "known"),
    [(23.9, 23.9, (True, True)), (24, 24, (False, True)), (23, 25, (False, True)),
     (47.9, 47.9, (False, True)), (48, 48, (False, False)), (47, 48, (False, False)),
     (-23.9, -23, (True, True)), (-25, -25, (False, False))],
)  # fmt: skip
def test_an_event_is_known_once_charted_and_stored(
    tmp_path: Path, charted: float, stored: float, known: tuple[bool, bool]
) -> None:
    """The prior pipeline told the last value of the whole stay."""
    tables = _one()
    tables.lab(charted, 6.66, storetime=hours(stored))
    asked = _asked(tables, tmp_path)
    found = tuple("6.66" in asked[task].context for task in ("survive_48h", "mortality"))
    assert found == known


def test_values_are_told_by_order_of_time(tmp_path: Path) -> None:
    tables = _one()
    for at, value in ((40, 70), (5, 120), (1, 60)):
        tables.chart(1, at, value)
    context = _asked(tables, tmp_path)["mortality"].context
    assert "Heart rate (/min): first 60, lowest 60, highest 120, last 70 (n=5)" in context
    assert "Creatinine (mg/dL): 1.7" in context
    assert "A woman of 62 years" in context and "Hours in hospital before the unit: 5." in context


def test_laboratory_values_without_an_admission_count(tmp_path: Path) -> None:
    """The prior pipeline lost them."""
    assert all("Creatinine" in told for told in _contexts(_one(), tmp_path).values())


def test_values_of_other_patients_stays_and_units_stay_out(tmp_path: Path) -> None:
    tables = _one()
    tables.chart(1, 3, 140, patient=2)
    tables.chart(1, 3, 141, valueuom="kg")
    tables.chart(1, 3, 142, valueuom=None)
    tables.chart(1, 3, 999)
    tables.chart(1, 3, "high")
    tables.chart(1, 3, 143, charttime="yesterday")
    tables.lab(3, 8.8, patient=2)
    context = _asked(tables, tmp_path)["mortality"].context
    assert "first 81, lowest 81, highest 93, last 93 (n=2)" in context
    counts = prepare(tmp_path, tmp_path / FOLDER)["events"]["icu/chartevents"]
    assert counts == {"rows": 8, "kept": 2, "outside": 0, "no_time": 1, "no_value": 1,
                      "other_unit": 2, "implausible": 1}  # fmt: skip


def test_temperatures_are_told_in_one_unit(tmp_path: Path) -> None:
    tables = _one()
    tables.chart(1, 3, 98.6, itemid=223761, valueuom="°F")
    tables.chart(1, 4, 38.0, itemid=223762, valueuom="°C")
    assert (
        "Temperature (Cel): first 37, lowest 37, highest 38, last 38 (n=2)"
        in _asked(tables, tmp_path)["mortality"].context
    )


@pytest.mark.parametrize(
    ("stay", "answers"),
    [
        ({}, {"survive_48h": "Yes", "mortality": "Survives to discharge",
              "length_of_stay": "8 to 12 days"}),
        ({"death": 30.0, "icu": 30.0}, {"survive_48h": "No", "mortality": "died_before"}),
        ({"death": 60.0, "icu": 60.0}, {"survive_48h": "Yes", "mortality": "Dies in hospital",
                                        "length_of_stay": "died"}),
        ({"icu": 30.0}, {"survive_48h": "Yes", "mortality": "left_before"}),
        ({"hospital": 91.0}, {"length_of_stay": "4 to 8 days"}),
    ],
)  # fmt: skip
def test_answers_are_of_this_stay(
    tmp_path: Path, stay: dict[str, Any], answers: dict[str, str]
) -> None:
    """By hand: 205 h from admission to discharge are 8.5 days; 96 h are 4."""
    asked = _asked(_one(**stay), tmp_path)
    found = {task: asked[task] for task in answers}
    assert {
        task: one.reason if isinstance(one, Skipped) else one.answer for task, one in found.items()
    } == answers


def test_a_later_death_is_not_of_an_earlier_stay(tmp_path: Path) -> None:
    """The prior pipeline gave every stay the outcome of the patient's last one."""
    tables = _one()
    tables.stay(2, start=5000, death=90)
    tables.chart(2, 5010, 99)
    assert _asked(tables, tmp_path)["mortality"].answer == "Survives to discharge"
    again = Tables(tables.rows)
    assert _asked(again, tmp_path / "again", "2")["mortality"].answer == "Dies in hospital"


def test_who_died_or_left_within_a_day_is_asked_nothing(tmp_path: Path) -> None:
    tables = _one(icu=20)
    tables.stay(2, patient=2, death=23, icu=23)
    # Alive at hour 40, and nothing is known of hour 48.
    tables.stay(3, patient=3, icu=30, hospital=40)
    planned = _planned(tables, tmp_path)
    assert {key: one.reason for key, one in planned.items() if isinstance(one, Filtered)} == {
        "1": "short_stay", "2": "short_stay", "3": "short_stay"}  # fmt: skip


def test_codes_mean_what_they_mean_in_their_version(tmp_path: Path) -> None:
    """E101 is diabetes with ketoacidosis in ICD-10, a cause of injury in ICD-9; the prior pipeline
    kept texts by the code alone."""
    nine = _asked(_one(codes=("9:E1012", "9:41001")), tmp_path / "9")
    ten = _asked(_one(codes=("10:E1010", "10:I214")), tmp_path / "10")
    assert nine["conditions"].labels == ("Acute myocardial infarction",)
    assert isinstance(nine["principal_diagnosis"], Skipped)
    assert ten["conditions"].labels == ("Acute myocardial infarction", "Diabetic ketoacidosis")
    assert ten["principal_diagnosis"].answer == "Endocrine or metabolic disease"
    assert ten["conditions"].absent == ()


def test_patients_are_those_of_mimic_cxr() -> None:
    """The prior pipeline split by admission: one patient's stays and films in both parts."""
    cards = [find_source(slug).card for slug in ("mimic_iv", "mimic_cxr")]
    ours, theirs = cards
    assert ours.keys.namespace == theirs.keys.namespace == "mimic"
    assert ours.splits.shares == theirs.splits.shares
    assert ours.splits.patients == theirs.splits.patients
    assert ours.keys.group == ours.keys.patient == "subject_id"


def _film(raw: Path, rows: list[dict[str, Any]], study: int, at: float, grey: int) -> None:
    time = hours(at)
    rows.append({"dicom_id": f"film{study}", "subject_id": 1, "study_id": study,
                 "ViewPosition": "AP", "StudyDate": time.strftime("%Y%m%d"),
                 "StudyTime": str(float(time.strftime("%H%M%S")))})  # fmt: skip
    folder = raw / f"cxr/files/p1/p1/s{study}"
    write_jpeg(folder / f"film{study}.jpg", np.full((16, 16), grey, np.uint8))
    write_text(folder.with_suffix(".txt"), f" FINDINGS: Lungs.\n IMPRESSION: Number {study}.\n")
    write_csv(raw / "cxr/mimic-cxr-2.0.0-metadata.csv.gz", rows)


def _recording(raw: Path, rows: list[dict[str, Any]], study: int, at: float, mv: float) -> None:
    path = f"files/p1/p1/s{study}/{study}"
    rows.append({"subject_id": 1, "study_id": study, "file_name": study, "ecg_time": hours(at),
                 "path": path})  # fmt: skip
    signal = np.full((12, 500), mv) + np.sin(np.arange(500) / 20)
    write_wfdb(raw / "ecg" / path, signal, 500, TWELVE)
    write_csv(raw / "ecg/record_list.csv", rows)


def test_film_report_and_ecg_are_the_last_before_the_question(tmp_path: Path) -> None:
    """The prior pipeline took the first film and the last ECG of the patient, whenever made."""
    films: list[dict[str, Any]] = []
    for study, at, grey in ((1, -20, 40), (2, 1, 80), (3, 40, 120), (4, 60, 160)):
        _film(tmp_path, films, study, at, grey)
    recordings: list[dict[str, Any]] = []
    for study, at, mv in ((1, 2, 0.5), (2, 30, 1.5), (3, 49, 2.5)):
        _recording(tmp_path, recordings, study, at, mv)
    asked = _asked(_one(), tmp_path)
    day, two = asked["survive_48h"], asked["mortality"]
    assert [round(float(one.images[0].pixels.mean()), -1) for one in (day, two)] == [80, 120]
    assert [round(float(one.ecg.signal.mean()), 1) for one in (day, two)] == [0.5, 1.5]
    assert "Number 2" in day.context
    # The film of hour 40 was taken 8 h before: nothing says that its report was written by then.
    assert "Number" not in two.context
    assert day.domain is None and SOURCE.card.domain == "multimodal"


def test_a_film_that_is_named_and_not_there_is_not_left_out_silently(tmp_path: Path) -> None:
    films: list[dict[str, Any]] = []
    _film(tmp_path, films, 1, 1, 80)
    _film(tmp_path, films, 2, 2, 80)
    planned = _planned(_one(), tmp_path)
    unit = planned["1"]
    assert isinstance(unit, Unit)
    (tmp_path / "cxr/files/p1/p1/s2/film2.jpg").unlink()
    with pytest.raises(MissingFile):
        SOURCE.convert(unit, _job(tmp_path))
    write_csv(tmp_path / "cxr/mimic-cxr-2.0.0-metadata.csv.gz", films[1:])
    (refused,) = SOURCE.plan(_job(tmp_path))
    assert isinstance(refused, Refused) and isinstance(refused.error, MissingKey)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("hosp/admissions", {"hospital_expire_flag": 1}), "bad_table"),
        (("hosp/admissions", {"dischtime": hours(-90)}), "bad_table"),
        (("hosp/admissions", {"subject_id": 7}), "bad_table"),
        (("hosp/admissions", {"deathtime": hours(-1), "hospital_expire_flag": 1}), "bad_table"),
        (("icu/icustays", {"intime": "then"}), "bad_table"),
        (("icu/icustays", {"outtime": "later"}), "bad_table"),
        (("icu/icustays", {"hadm_id": 99}), "missing_key"),
        (("hosp/patients", {"subject_id": 99}), "missing_key"),
    ],
)
def test_contradictions_are_refused(
    tmp_path: Path, change: tuple[str, dict[str, Any]], code: str
) -> None:
    tables = _one()
    tables.rows[change[0]][0] |= change[1]
    (refused,) = _planned(tables, tmp_path).values()
    assert isinstance(refused, Refused) and refused.error.code == code


def test_a_stay_that_is_listed_twice_is_refused_once(tmp_path: Path) -> None:
    tables = _one()
    tables.rows["icu/icustays"] *= 2
    (refused,) = _planned(tables, tmp_path).values()
    assert isinstance(refused, Refused) and refused.error.code == "duplicate_key"


def test_a_build_asks_for_the_preparation_and_for_its_tables(tmp_path: Path) -> None:
    tables = _one()
    tables.write(tmp_path)
    with pytest.raises(MissingFile, match="qoqdata prepare mimic_iv"):
        list(SOURCE.plan(_job(tmp_path)))
    prepare(tmp_path, tmp_path / FOLDER)
    assert len(list(SOURCE.plan(_job(tmp_path)))) == 1
    tables.chart(1, 7, 77)
    tables.write(tmp_path)
    with pytest.raises(BadTable, match="is not the table that was prepared"):
        list(SOURCE.plan(_job(tmp_path)))


def test_a_film_or_ecg_at_no_time_is_not_left_out_silently(tmp_path: Path) -> None:
    """The one before it was shown as the last, or none."""
    rows: list[dict[str, Any]] = []
    for study, at in ((1, 1), (2, 2)):
        _film(tmp_path, rows, study, at, 80)
    rows[1] |= {"StudyDate": "03/01/2150"}
    write_csv(tmp_path / "cxr/mimic-cxr-2.0.0-metadata.csv.gz", rows)
    refused = _planned(_one(), tmp_path)["1"]
    assert isinstance(refused, Refused) and "no time of film2" in refused.error.what
    _film(tmp_path, rows := [], 2, 2, 80)
    recordings: list[dict[str, Any]] = []
    _recording(tmp_path, recordings, 1, 2, 0.5)
    write_csv(tmp_path / "ecg/record_list.csv", [recordings[0] | {"ecg_time": "2150-01-03T04"}])
    (tmp_path / "cxr/files/p1/p1/s1/film1.jpg").unlink()
    refused = _planned(_one(), tmp_path)["1"]
    assert isinstance(refused, Refused) and "no time of 1 that can be read" in refused.error.what
