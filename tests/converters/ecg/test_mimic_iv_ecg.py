"""MIMIC-IV-ECG: what machines print and measure, joins, splits, and the faults of old copies."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from qoqdata.errors import UnreadableFile
from qoqdata.simulation import ecg, write_csv, write_wfdb
from qoqdata.sources.catalogue import find_source, quirks
from qoqdata.sources.protocol import Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw
from qoqdata.suite.examples import build_example

SOURCE = find_source("mimic_iv_ecg")
MODULE = SOURCE.module.removesuffix("source")
simulate = import_module(f"{MODULE}simulate").simulate
read_line = import_module(f"{MODULE}machine_report").read_line
measurements = import_module(f"{MODULE}measurements")
STEM = "files/p1000/p10000032/s40689238/40689238"
BEAT = {"rr_interval": 640, "p_onset": 40, "p_end": 128, "qrs_onset": 180, "qrs_end": 274}


def write(raw: Path, lines: list[str], **cells: Any) -> None:
    """One recording, with the lines of its report and cells of the table of measurements."""
    ids = {"subject_id": 10000032, "study_id": 40689238}
    write_csv(raw / "record_list.csv", [ids | {"file_name": 40689238, "path": STEM}])
    report = {f"report_{n}": lines[n] if n < len(lines) else "" for n in range(18)}
    row = ids | report | BEAT | {"t_end": 580, "p_axis": 51, "qrs_axis": 81, "t_axis": -5} | cells
    write_csv(raw / "machine_measurements.csv", [row])
    leads = ("I", "II", "III", "aVR", "aVF", "aVL")
    write_wfdb(raw / STEM, ecg(np.random.default_rng(1), 500, 2, leads), 500, leads)


def planned(raw: Path) -> tuple[list[Planned], Job]:
    job = Job(SOURCE.card, open_raw(raw))
    return list(SOURCE.plan(job)), job


def converted(raw: Path) -> dict[str, Any]:
    """Records and skips by task; several skips of a task as a list."""
    (unit,), job = planned(raw)
    assert isinstance(unit, Unit)
    return {one.task: one for one in SOURCE.convert(unit, job)}


@pytest.mark.parametrize(
    ("line", "sure", "considered"),
    [
        ("SINUS RHYTHM", ["Sinus rhythm"], []),
        (
            "Sinus rhythm with borderline 1st degree A-V block.",
            ["Sinus rhythm"],
            ["First-degree atrioventricular block"],
        ),
        (
            "Probable atrial fibrillation with PVC(s)",
            [],
            ["Atrial fibrillation", "Premature ventricular contraction"],
        ),
        ("Sinus or ectopic atrial rhythm", [], ["Sinus rhythm", "Ectopic atrial rhythm"]),
        ("Atrial flutter/fibrillation", ["Atrial fibrillation/flutter"], []),
        (
            "Conduction defect of LBBB type",
            ["Nonspecific intraventricular conduction disorder"],
            [],
        ),
        ("Incomplete LBBB", ["Incomplete left bundle branch block"], []),
        ("*** INFERIOR INFARCT - POSSIBLY ACUTE ***", ["Inferior myocardial infarction"], []),
        (
            "Lateral ST-T changes may be due to myocardial ischemia",
            ["ST-T change"],
            ["Myocardial ischemia"],
        ),
        ("--- Suspect arm lead reversal", ["Suspected lead reversal"], []),
        ("Normal ECG except for rate", ["Otherwise normal ECG"], []),
        ("Leftward axis", [], []),
        ("Sinus rhythm with rightward axis", ["Sinus rhythm"], []),
        ("Borderline left axis deviation", [], ["Left axis deviation"]),
        ("Left axis deviation - borderline", [], ["Left axis deviation"]),
        ("Marked left axis deviation", ["Left axis deviation"], []),
        ("Inferior infarct, probable", [], ["Inferior myocardial infarction"]),
        ("LVH may be normal variant", ["Left ventricular hypertrophy"], []),
        ("Probably normal ECG", [], ["Normal ECG"]),
        (
            "Possible inferior infarct - abnormal ECG",
            ["Abnormal ECG"],
            ["Inferior myocardial infarction"],
        ),
        ("Lead reversal suspected", ["Suspected lead reversal"], []),
        ("Small Q waves in inferior leads", [], []),
        ("*** report made without knowing patient's sex ***", [], []),
    ],
)
def test_a_line_says_what_it_asserts_and_what_it_considers(
    line: str, sure: list[str], considered: list[str]
) -> None:
    statements = read_line(line)
    assert statements is not None
    assert [one.label for one in statements if one.certain] == sure
    assert [one.label for one in statements if not one.certain] == considered


@pytest.mark.parametrize("line", ["Atrial fibrillation is no longer present", "Sinus rhythm not"])
def test_a_line_with_a_word_that_nothing_accounts_for_is_not_read(line: str) -> None:
    assert read_line(line) is None


def test_labels_of_phrases_are_options_of_the_card() -> None:
    phrases = pl.read_csv(SOURCE.folder / "phrases.csv")
    tasks = {"rhythm": "rhythm", "finding": "findings", "overall": "verdict", "quality": "quality"}
    assert set(phrases["kind"]) == {*tasks, "remark", "doubt", "filler"}
    for kind, task in tasks.items():
        labels = set(phrases.filter(pl.col("kind") == kind)["label"])
        assert labels == set(SOURCE.card.tasks[task].options or ()) - {"No warning"}


def test_numbers_are_those_of_the_beat(tmp_path: Path) -> None:
    """By hand: 60000/640, 180-40, 274-180, 580-180, 400/sqrt(0.64)."""
    write(tmp_path, ["Sinus tachycardia", "", "Right axis deviation", "Abnormal ECG"])
    found = converted(tmp_path)
    answers = {task: one.answer for task, one in found.items() if not isinstance(one, Skipped)}
    assert answers == {
        "rhythm": "Sinus tachycardia",
        "findings": "Right axis deviation",
        "verdict": "Abnormal ECG",
        "quality": "No warning",
        "report": "Sinus tachycardia\nRight axis deviation\nAbnormal ECG",
        "heart_rate": "94 /min",
        "pr_interval": "140 ms",
        "qrs_duration": "94 ms",
        "qt_interval": "400 ms",
        "qtc_interval": "500 ms",
        "p_axis": "51 deg",
        "qrs_axis": "81 deg",
        "t_axis": "-5 deg",
        "axis": "Normal axis",
    }
    leads = found["report"].ecg.leads
    assert leads == ("I", "II", "III", "aVR", "aVL", "aVF") and found["report"].age is None


@pytest.mark.parametrize(
    ("cells", "skips"),
    [
        ({"p_onset": 29999}, {"pr_interval": "not_measured"}),
        ({"qrs_axis": 32767}, {"qrs_axis": "not_measured", "axis": "not_measured"}),
        ({"rr_interval": 65535}, {"heart_rate": "not_measured", "qtc_interval": "not_measured"}),
        ({"rr_interval": 0}, {"heart_rate": "not_measured", "qtc_interval": "not_measured"}),
        (
            {"t_end": 250},
            dict.fromkeys(
                ("pr_interval", "qrs_duration", "qt_interval", "qtc_interval"), "waves_out_of_order"
            ),
        ),
        ({"t_end": 1500}, {"qt_interval": "out_of_range", "qtc_interval": "out_of_range"}),
        ({"qrs_axis": -170}, {"qrs_axis": "out_of_range"}),
    ],
)
def test_what_was_not_measured_is_no_number(
    tmp_path: Path, cells: dict[str, int], skips: dict[str, str]
) -> None:
    write(tmp_path, ["Sinus rhythm", "Prolonged QT interval", "Abnormal ECG"], **cells)
    found = converted(tmp_path)
    assert {t: one.reason for t, one in found.items() if isinstance(one, Skipped)} == skips


@pytest.mark.parametrize(
    ("degrees", "name"),
    [
        (-31, "Left"),
        (-30, "Normal"),
        (90, "Normal"),
        (91, "Right"),
        (180, "Right"),
        (-91, "Extreme"),
    ],
)
def test_quadrants(degrees: int, name: str) -> None:
    assert measurements.axis_class(degrees).startswith(name)


def test_axes_wrap_to_one_turn() -> None:
    row = dict.fromkeys(measurements.COLUMNS) | {
        "qrs_axis": "268",
        "t_axis": "-180",
        "p_axis": "181",
    }
    assert measurements.measured(row) == {"qrs_axis": -92, "t_axis": 180, "p_axis": -179}


def test_a_line_that_is_not_read_costs_what_it_may_add_to(tmp_path: Path) -> None:
    write(tmp_path, ["Sinus rhythm", "Strange deflections", "Left axis deviation", "Abnormal ECG"])
    found = converted(tmp_path)
    assert found["rhythm"].answer == "Sinus rhythm"
    assert (found["findings"].reason, found["findings"].message) == (
        "unread_line",
        "Strange deflections",
    )
    assert found["report"].answer.count("\n") == 3
    write(tmp_path, ["Sinus rhythm", "Atrial fibrillation is no longer present"])
    assert converted(tmp_path)["rhythm"].reason == "unread_line"


def test_a_flat_lead_is_masked_and_told(tmp_path: Path) -> None:
    """The old pipeline divided each lead by its deviation: a flat one became NaN."""
    write(tmp_path, ["Sinus rhythm", "Normal ECG"])
    signal = ecg(np.random.default_rng(1), 500, 3, ("I", "V1", "V2"))
    signal[1] = 0.25
    write_wfdb(tmp_path / STEM, signal, 500, ("I", "V1", "V2"))
    shown = converted(tmp_path)["rhythm"]
    assert np.isfinite(shown.ecg.signal).all() and shown.ecg.valid.any(1).tolist() == [
        True,
        False,
        True,
    ]
    assert shown.ecg.signal[1, 0] == np.float32(0.25)
    assert "lead V1: 100% unusable, masked" in shown.notes


def test_limb_leads_alone_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path, ["Sinus rhythm", "Normal ECG"])
    signal = np.random.default_rng(1).normal(0, 0.5, (3, 1500))
    write_wfdb(tmp_path / STEM, signal, 500, ("I", "II", "III"))
    with pytest.raises(UnreadableFile, match="no lead has a usable sample: leads I II III contra"):
        converted(tmp_path)


def test_known_faults(tmp_path: Path) -> None:
    simulate(tmp_path / "raw", 30, seed=2, quirks=True, seconds=0.5)
    built = build_example(SOURCE, tmp_path / "set", raw=tmp_path / "raw")
    counts = built.dataset.manifest.sources[SOURCE.card.slug].counts
    assert counts.units == 31 == counts.converted + counts.quarantined
    reasons = [row["reason"] for row in built.quarantine]
    assert sorted(set(reasons)) == sorted(quirks(SOURCE))


def test_patients_follow_the_list_of_mimic_cxr(tmp_path: Path) -> None:
    simulate(tmp_path / "raw", 40, seed=2, seconds=0.2)
    splits = pl.read_csv(tmp_path / "raw" / "mimic-cxr-2.0.0-split.csv.gz", infer_schema=False)
    words = {"train": "train", "validate": "validation", "test": "test"}
    listed = {row[0]: words[row[1]] for row in splits.select("subject_id", "split").iter_rows()}
    built = build_example(SOURCE, tmp_path / "set", raw=tmp_path / "raw")
    seen: dict[str, set[str]] = {}
    for record in built.records:
        patient = record["provenance"]["raw"][0].split("/")[2].removeprefix("p")
        seen.setdefault(patient, set()).add(record["split"])
    assert all(len(splits_) == 1 for splits_ in seen.values())
    assert len(listed) > 5 and {key: {listed[key]} for key in listed} == {
        k: seen[k] for k in listed
    }
    assert SOURCE.card.splits.patients == find_source("mimic_cxr").card.splits.patients
    assert SOURCE.card.splits.shares == find_source("mimic_cxr").card.splits.shares


def test_a_path_of_another_patient_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ["Sinus rhythm"])
    table = tmp_path / "record_list.csv"
    other = STEM.replace("p10000032", "p10000099")
    table.write_text(table.read_text().replace(STEM, other))
    (tmp_path / other).parent.mkdir(parents=True)
    for suffix in (".hea", ".dat"):
        shutil.move(tmp_path / f"{STEM}{suffix}", tmp_path / f"{other}{suffix}")
    (refused,), _ = planned(tmp_path)
    assert isinstance(refused, Refused) and "of another record" in refused.error.what


def test_a_leftward_axis_is_no_deviation(tmp_path: Path) -> None:
    """Machines call an axis leftward that lies within normal limits, here at -20 degrees."""
    write(tmp_path, ["Sinus rhythm", "Leftward axis", "LVH", "Borderline ECG"], qrs_axis=-20)
    found = converted(tmp_path)
    assert found["axis"].answer == "Normal axis"
    assert found["findings"].answer == "Left ventricular hypertrophy"
    assert "Left axis deviation" not in (*found["findings"].labels, *found["findings"].uncertain)
