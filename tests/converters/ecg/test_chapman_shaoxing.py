"""Chapman-Shaoxing-Ningbo: the real headers, and a made-up copy with the known faults."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from qoqdata.pipeline.splits import assign_splits
from qoqdata.simulation import write_csv
from qoqdata.sources.catalogue import find_source, quirks
from qoqdata.sources.protocol import Job, Unit
from qoqdata.sources.rawtree import open_raw
from qoqdata.sources.unit_table import unit_table, units_of
from qoqdata.suite.examples import build_example

SOURCE = find_source("chapman_shaoxing")
simulate = import_module(SOURCE.module.removesuffix("source") + "simulate").simulate


def test_real_headers(realdata: Path, tmp_path: Path) -> None:
    """Four recordings of the release, of which an index lists a hundred."""
    raw = realdata / "ecg" / "chapman-shaoxing"
    built = build_example(SOURCE, tmp_path / "set", raw=raw)
    facts = {
        (record["provenance"]["raw"][0][-11:-4], record["task"]): (
            record["answer"],
            record["age"],
            record["sex"],
        )
        for record in built.records
    }
    assert facts == {
        ("JS00001", "rhythm"): ("Atrial fibrillation", 85, "male"),
        ("JS00001", "findings"): ("T wave abnormality, Right bundle branch block", 85, "male"),
        ("JS00002", "rhythm"): ("Sinus bradycardia", 59, "female"),
        ("JS00002", "findings"): ("T wave abnormality", 59, "female"),
        ("JS00004", "rhythm"): ("Sinus bradycardia", 66, "male"),
        ("JS00005", "rhythm"): ("Atrial flutter", 73, "female"),
        ("JS00005", "findings"): ("ST depression, Nonspecific ST-T abnormality", 73, "female"),
    }
    assert all(record["ecg"]["samples"] == 5000 for record in built.records)
    counts = built.dataset.manifest.sources[SOURCE.card.slug].counts
    listed = (raw / "WFDBRecords/01/010/RECORDS").read_text().split()
    assert counts.units == len(listed) and counts.converted == 4
    assert counts.quarantined == len(listed) - 4
    assert counts.skipped == {"findings": {"no_findings": 1}, "axis": {"not_stated": 4}}


def test_known_faults(tmp_path: Path) -> None:
    simulate(tmp_path / "raw", 17, seed=3, quirks=True, seconds=0.5)
    built = build_example(SOURCE, tmp_path / "set", raw=tmp_path / "raw")
    counts = built.dataset.manifest.sources[SOURCE.card.slug].counts
    assert (counts.units, counts.converted, counts.quarantined, counts.filtered) == (17, 11, 5, 1)
    quarantined = {row["reason"] for row in built.quarantine if row["outcome"] == "quarantined"}
    assert quarantined == quirks(SOURCE) == {"unreadable_file", "missing_file"}
    reasons = {row["unit"]: row["reason"] for row in built.quarantine}
    assert reasons == {
        "JS01052": "unreadable_file",
        "JS23074": "unreadable_file",
        "JS00011": "no_label",
        "JS00013": "unreadable_file",  # half a signal
        "JS00014": "missing_file",  # its signal
        "JS00015": "missing_file",  # all of it, but the index names it
    }
    assert counts.skipped["rhythm"] == {"no_rhythm": 1, "unmapped_999999999": 1}
    by_unit = {
        (record["provenance"]["raw"][0][-11:-4], record["task"]): record for record in built.records
    }
    odd = by_unit["JS00010", "findings"]
    assert odd["labels"] == ["T wave abnormality"] and odd["absent"] == []
    assert odd["provenance"]["notes"] == ["the code 999999999 has no label here, left out"]
    assert by_unit["JS00009", "rhythm"]["labels"] == ["Sinus bradycardia", "Sinus arrhythmia"]
    assert ("JS00009", "findings") not in by_unit
    assert by_unit["JS00006", "axis"]["answer"] == "Left axis deviation"
    missing = by_unit["JS00012", "rhythm"]
    assert "age" not in missing and "sex" not in missing
    assert missing["ecg"]["valid"] == round(1 - 0.5 / 12, 3)
    assert missing["provenance"]["notes"] == ["lead V6: 50% unusable, masked"]


def test_one_signal_under_two_names_stays_in_one_split(tmp_path: Path) -> None:
    folds = set()
    for seed in range(12):
        raw = tmp_path / str(seed)
        simulate(raw, 14, seed=seed, quirks=True, seconds=0.2)
        planned = SOURCE.plan(Job(SOURCE.card, open_raw(raw)))
        made = unit_table([one for one in planned if isinstance(one, Unit)])
        units = list(units_of(assign_splits(made, SOURCE.card)[0]))
        split = {unit.key: unit.split for unit in units}
        group = {unit.key: unit.group for unit in units}
        assert split["JS00003"] == split["JS00004"]
        assert group["JS00003"] == group["JS00004"]
        assert len(set(group.values())) == len(group) - 1
        folds.add(split["JS00003"])
    assert len(folds) > 1


def test_one_signal_under_two_names_is_kept_and_told(tmp_path: Path) -> None:
    simulate(tmp_path / "raw", 14, seed=3, quirks=True, seconds=0.5)
    built = build_example(SOURCE, tmp_path / "set", raw=tmp_path / "raw")
    notes = {r["provenance"]["raw"][0][-11:-4]: r["provenance"]["notes"] for r in built.records}
    assert "JS00004 has the same signal by its header" in notes["JS00003"]
    assert "JS00003 has the same signal by its header" in notes["JS00004"]
    assert sum("same signal" in " ".join(own) for own in notes.values()) == 2


def test_recordings_of_a_benchmark_are_no_training(tmp_path: Path) -> None:
    """Those of MERL's list, by the name of the recording."""
    (block,) = SOURCE.card.block
    assert len(block.keys) == len(set(block.keys)) == 4620
    assert all(len(key) == 7 and "JS00001" <= key <= "JS45551" for key in block.keys)
    simulate(tmp_path / "raw", 100, seed=2, seconds=0.2)
    built = build_example(SOURCE, tmp_path / "set", raw=tmp_path / "raw")
    splits = {record["provenance"]["raw"][0][-11:-4]: record["split"] for record in built.records}
    listed = set(block.keys) & set(splits)
    assert len(listed) >= 5 and {splits[key] for key in listed} <= {"test", "validation"}
    assert "train" in splits.values()


def test_a_list_of_a_benchmark_holds_its_recordings_out(tmp_path: Path) -> None:
    simulate(tmp_path, 9, seed=3, seconds=0.2)
    names = ("JS00002", "JS00007")
    rows = [{"ecg_path": f"/chapman/WFDBRecords/01/010/{name}.mat", "age": 12} for name in names]
    write_csv(tmp_path / "chapman_test.csv", rows)
    job = Job(SOURCE.card, open_raw(tmp_path), {"held_out": "chapman_test.csv"})
    units = [unit for unit in SOURCE.plan(job) if isinstance(unit, Unit)]
    assert {unit.key for unit in units if unit.split == "test"} == set(names)
    assert all(unit.split is None for unit in units if unit.key not in names)


@pytest.mark.parametrize("faulty", [False, True])
def test_a_seed_is_a_tree(tmp_path: Path, faulty: bool) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate(tmp_path / name, 14, seed=seed, quirks=faulty, seconds=0.2)
    trees = [
        {path.relative_to(tmp_path / name): path.read_bytes() for path in files(tmp_path / name)}
        for name in "abc"
    ]
    assert trees[0] == trees[1] != trees[2]
    assert sum(path.suffix == ".hea" for path in trees[0]) == (13 if faulty else 14)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_no_recording_is_left_out_in_silence(tmp_path: Path) -> None:
    """As many of one class as there are: each header is a unit, and each unit is accounted for."""
    simulate(tmp_path / "raw", 40, seed=6, quirks=True, seconds=0.2)
    headers = {path.stem for path in (tmp_path / "raw").rglob("*.hea")}
    built = build_example(SOURCE, tmp_path / "set", raw=tmp_path / "raw")
    asked = {Path(record["provenance"]["raw"][0]).stem for record in built.records}
    left_out = {row["unit"] for row in built.quarantine}
    assert headers <= asked | left_out and len(headers) > 35
    assert len(asked) > 20
