"""CPSC2018: real recordings in the layout of the release, and a made-up copy with odd ones."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path

from qoqdata.sources.catalogue import find_source, quirks
from qoqdata.suite.examples import build_example

SOURCE = find_source("cpsc2018")
simulate = import_module(SOURCE.module.removesuffix("source") + "simulate").simulate


def test_real_recordings_that_word_their_classes(realdata: Path, tmp_path: Path) -> None:
    """Those of the Challenge's first phase in 2020, which had words in place of codes."""
    folder = tmp_path / "raw" / "training" / "cpsc_2018" / "g1"
    folder.mkdir(parents=True)
    for path in (realdata / "ecg" / "cinc2020_phase1_cpsc2018").glob("A*"):
        shutil.copy(path, folder)
    built = build_example(SOURCE, tmp_path / "set", raw=tmp_path / "raw")
    assert not built.quarantine
    assert {
        (record["provenance"]["raw"][0][-9:-4], record["answer"], record["age"], record["sex"])
        for record in built.records
    } == {
        ("A0002", "Normal ECG", 49, "female"),
        ("A0003", "Atrial fibrillation", 81, "female"),
        ("A0007", "Atrial fibrillation", 74, "male"),
        ("A0010", "Right bundle branch block", 82, "male"),
    }


def test_odd_recordings(tmp_path: Path) -> None:
    simulate(tmp_path / "raw", 12, seed=2, quirks=True, seconds=(0.4, 0.8))
    built = build_example(SOURCE, tmp_path / "set", raw=tmp_path / "raw")
    counts = built.dataset.manifest.sources["cpsc2018"].counts
    assert (counts.units, counts.converted, counts.quarantined, counts.filtered) == (12, 7, 3, 2)
    assert counts.skipped == {"findings": {"normal_with_finding": 1}}
    assert {row["unit"]: row["reason"] for row in built.quarantine} == {
        "A0008": "all_skipped",
        "A0009": "bad_label",
        "A0010": "no_label",
        "A0011": "unreadable_file",
        "A0012": "missing_file",
    }
    assert quirks(SOURCE) == {"bad_label", "unreadable_file", "missing_file"}
    answers = {record["provenance"]["raw"][0][-9:-4]: record for record in built.records}
    assert answers["A0006"]["labels"] == ["Atrial fibrillation", "Right bundle branch block"]
    assert answers["A0007"]["answer"] == "Right bundle branch block"
    assert "age" not in answers["A0007"]
    assert len({record["ecg"]["samples"] for record in built.records}) > 1


def test_recordings_of_a_benchmark_are_no_training(tmp_path: Path) -> None:
    """Those of MERL's list; 1,080 of its 1,376 were in the old pipeline's train part."""
    (block,) = SOURCE.card.block
    assert len(block.keys) == len(set(block.keys)) == 1376
    simulate(tmp_path / "raw", 60, seed=2, seconds=(0.2, 0.3))
    built = build_example(SOURCE, tmp_path / "set", raw=tmp_path / "raw")
    splits = {record["provenance"]["raw"][0][-9:-4]: record["split"] for record in built.records}
    listed = set(block.keys) & set(splits)
    assert len(listed) >= 5 and {splits[key] for key in listed} <= {"test", "validation"}
    assert "train" in splits.values()


def test_left_bundle_branch_block_is_a_class_of_its_own() -> None:
    """The old pipeline had it in no class, and drew others by chance."""
    labels = SOURCE.card.labels
    assert labels["164909002"] == "Left bundle branch block"
    assert labels["164889003"] == "Atrial fibrillation"
    assert len(set(labels.values())) == 9
