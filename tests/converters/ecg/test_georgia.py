"""Georgia: real recordings in the layout of the release, and a made-up copy with odd ones."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from qoqdata.records.content import Record
from qoqdata.simulation import ecg, write_wfdb
from qoqdata.sources.catalogue import find_source, quirks
from qoqdata.sources.protocol import Job, Refused, Unit
from qoqdata.sources.rawtree import open_raw
from qoqdata.suite.examples import build_example

SOURCE = find_source("georgia")
simulate = import_module(SOURCE.module.removesuffix("source") + "simulate").simulate


@pytest.fixture
def release(realdata: Path, tmp_path: Path) -> Path:
    """Eleven real recordings, as the release lays them out."""
    folder = tmp_path / "raw" / "training" / "georgia" / "g8"
    folder.mkdir(parents=True)
    for path in (realdata / "ecg" / "cinc2021").glob("E*"):
        shutil.copy(path, folder)
    return tmp_path / "raw"


def test_real_recordings(release: Path, tmp_path: Path) -> None:
    built = build_example(SOURCE, tmp_path / "set", raw=release)
    counts = built.dataset.manifest.sources["georgia"].counts
    assert (counts.units, counts.converted, counts.quarantined) == (11, 11, 0)
    assert counts.skipped == {
        "rhythm": {"no_rhythm": 3},
        "findings": {"no_findings": 2},
        "axis": {"not_stated": 11},
    }
    answers = {
        (record["provenance"]["raw"][0][-10:-4], record["task"]): record["answer"]
        for record in built.records
    }
    assert len(answers) == 8 + 9
    assert answers["E07500", "rhythm"] == "Sinus bradycardia"
    assert answers["E07500", "findings"] == "Left atrial enlargement"
    assert answers["E07507", "findings"] == "Prolonged QT interval, Nonspecific ST-T abnormality"
    assert ("E07507", "rhythm") not in answers


def test_a_recording_that_the_release_has_twice(release: Path) -> None:
    folder = release / "training" / "georgia" / "g8"
    assert (folder / "E07509.mat").read_bytes() == (folder / "E07510.mat").read_bytes()
    planned = SOURCE.plan(Job(SOURCE.card, open_raw(release)))
    groups = {unit.key: unit.group for unit in planned if isinstance(unit, Unit)}
    assert groups["E07509"] == groups["E07510"] is not None
    assert len(groups) == 11 and len(set(groups.values())) == 10


def test_odd_recordings(tmp_path: Path) -> None:
    simulate(tmp_path / "raw", 14, seed=5, quirks=True, seconds=(0.4, 0.6))
    built = build_example(SOURCE, tmp_path / "set", raw=tmp_path / "raw")
    counts = built.dataset.manifest.sources["georgia"].counts
    assert (counts.units, counts.converted, counts.quarantined, counts.filtered) == (14, 10, 3, 1)
    rows = {row["unit"]: row for row in built.quarantine}
    assert {unit: row["reason"] for unit, row in rows.items()} == {
        "E00007": "unreadable_file",  # the gain of 2020
        "E00012": "no_label",
        "E00013": "unreadable_file",
        "E00014": "missing_file",
    }
    assert "4880 steps a mV" in rows["E00007"]["message"]
    assert quirks(SOURCE) == {"unreadable_file", "missing_file"}
    by_unit = {
        (record["provenance"]["raw"][0][-10:-4], record["task"]): record for record in built.records
    }
    assert not {"age", "sex"} & set(by_unit["E00008", "findings"])
    assert by_unit["E00009", "findings"]["labels"] == ["Left axis deviation", "Bradycardia"]
    assert by_unit["E00009", "rhythm"]["labels"] == ["Atrial pacing", "Ventricular pacing"]
    assert ("E00010", "rhythm") not in by_unit
    assert by_unit["E00010", "findings"]["provenance"]["notes"] == [
        "the code 999999999 has no label here, left out"
    ]
    assert counts.skipped["rhythm"] == {"no_rhythm": 1, "unmapped_999999999": 1}
    assert by_unit["E00011", "rhythm"]["sex"] == "female"


@pytest.mark.parametrize(
    ("code", "task", "label"),
    [
        ("164889003", "rhythm", "Atrial fibrillation"),
        ("164890007", "rhythm", "Atrial flutter"),
        ("59118001", "findings", "Right bundle branch block"),
        ("713427006", "findings", "Right bundle branch block"),
        ("164909002", "findings", "Left bundle branch block"),
        ("426434006", "findings", "Anterior ischemia"),
        ("233917008", "findings", "Atrioventricular block"),
    ],
)
def test_codes_that_old_splits_lost_have_their_label(
    tmp_path: Path, code: str, task: str, label: str
) -> None:
    """Names compared with case lost all fibrillation, and 20 codes fell out of all classes."""
    stem = tmp_path / "training" / "georgia" / "g1" / "E00001"
    signal = ecg(np.random.default_rng(0), 500, 1, ("I", "V1"))
    write_wfdb(stem, signal, 500, ("I", "V1"), [f"Dx: {code}"], container="mat")
    job = Job(SOURCE.card, open_raw(tmp_path))
    (unit,) = SOURCE.plan(job)
    assert isinstance(unit, Unit)
    records = {one.task: one for one in SOURCE.convert(unit, job) if isinstance(one, Record)}
    assert records[task].labels == (label,)


def test_sinus_rhythm_is_no_normal_ecg() -> None:
    """It counted as normal, so that an infarction in sinus rhythm was normal at once."""
    labels = {o for task in SOURCE.card.tasks.values() for o in task.options or ()}
    assert not [
        label for label in labels if "normal" in label.lower() and "ab" not in label.lower()
    ]


def test_a_header_that_names_the_signal_of_another_recording(tmp_path: Path) -> None:
    """Another patient's signal: first values and checksums are right, for they are its own."""
    simulate(tmp_path, 2, seed=5, seconds=(0.4, 0.6))
    folder = tmp_path / "training" / "georgia" / "g1"
    shutil.copy(folder / "E00002.hea", folder / "E00001.hea")
    one, two = SOURCE.plan(Job(SOURCE.card, open_raw(tmp_path)))
    assert isinstance(two, Unit) and two.files[1] == "training/georgia/g1/E00002.mat"
    assert isinstance(one, Refused) and one.error.code == "unreadable_file"
    assert "the signal file of another recording" in one.error.what


def test_a_null_signal_in_a_header_is_no_file(tmp_path: Path) -> None:
    simulate(tmp_path, 1, seed=5, seconds=(0.4, 0.6))
    header = tmp_path / "training" / "georgia" / "g1" / "E00001.hea"
    text = header.read_text().replace("E00001 12 ", "E00001 13 ")
    header.write_text(text.replace("#", "~ 0 1000/mV 16 0 0 0 0 V7\n#", 1))
    job = Job(SOURCE.card, open_raw(tmp_path))
    (unit,) = SOURCE.plan(job)
    assert isinstance(unit, Unit) and len(unit.files) == 2
    assert SOURCE.convert(unit, job)[0].ecg.signal.shape[0] == 12
