"""Mistakes that were made: the suite finds them, and what it was before did not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qoqdata.errors import UsageError
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import PlanFunction, Source
from qoqdata.suite import checks, damage
from qoqdata.suite.examples import BuiltExample, build_example
from qoqdata.suite.extent import SAMPLE, WHOLE
from qoqdata.suite.findings import (
    built_card,
    media_findings,
    raw_bytes,
    raw_labels,
    table_findings,
    unused,
)
from tests.suite import wrong_sources as wrong


def made(tmp_path: Path, write: Callable, plan: PlanFunction, rule: str = "hash") -> Source:
    write(tmp_path / "toy" / "example" / "raw")
    return wrong.toy(tmp_path / "toy", plan, rule=rule)


def found(source: Source, work: Path) -> list[str]:
    """What the suite finds under damage to tables and media."""
    whole = build_example(source, work / "whole")
    files = raw_bytes(source)
    tables = damage.table_damages(files, raw_labels(built_card(whole)))
    findings = table_findings(source, whole, tables, work / "tables")
    return findings + media_findings(
        source, whole, damage.media_damages(files, WHOLE.media_files), work / "media"
    )


def found_formerly(source: Source, work: Path) -> list[str]:
    """What the first suite found: three damages to six files, spread over the sorted list."""

    def content(record: dict[str, Any]) -> dict[str, Any]:
        facts = {name: value for name, value in record.items() if name != "split"}
        provenance = {n: v for n, v in record["provenance"].items() if n not in ("digest", "raw")}
        return facts | {"provenance": provenance}

    before = {one["id"]: content(one) for one in build_example(source, work / "whole").records}
    root = source.folder / "example" / "raw"
    files = sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())
    findings = []
    for how in ("lost", "cut", "emptied"):
        for path in files[:: max(1, len(files) // 6)]:
            raw, out = work / "raw", work / "set"
            shutil.copytree(root, raw)
            data = (raw / path).read_bytes()
            (raw / path).write_bytes(data[: len(data) // 2] if how == "cut" else b"")
            if how == "lost":
                (raw / path).unlink()
            for record in build_example(source, out, raw=raw).records:
                if before.get(record["id"]) != content(record):
                    findings.append(f"{path} {how}")
            shutil.rmtree(raw)
            shutil.rmtree(out)
    return findings


CASES = (wrong.write_cases, wrong.plan_cases, "hash")
TWO = (wrong.write_two_tables, wrong.plan_two_tables, "official")


@pytest.mark.parametrize(("write", "plan", "rule"), [CASES, TWO])
def test_the_first_suite_found_nothing(
    tmp_path: Path, write: Callable, plan: PlanFunction, rule: str
) -> None:
    assert found_formerly(made(tmp_path, write, plan, rule), tmp_path) == []


def test_half_a_case_table_changes_a_record(tmp_path: Path) -> None:
    findings = found(made(tmp_path, *CASES), tmp_path)
    half = [one for one in findings if "the second half of the rows lost" in one]
    assert any("regions of record" in one and "changed from" in one for one in half)
    assert any("answer of record" in one and "'Malignant' to 'Benign'" in one for one in half)
    # Its last row, the second lesion of a film, is enough.
    assert any("row 7 lost: regions" in one for one in findings)


def test_a_lost_table_swaps_the_origin_of_labels(tmp_path: Path) -> None:
    findings = found(made(tmp_path, *TWO), tmp_path)
    lost = [one for one in findings if one.startswith("labels/test.csv, lost: ")]
    assert any("label by rule" in one for one in lost)
    assert any("answer of record" in one and "'Benign' to 'Malignant'" in one for one in lost)


@pytest.mark.parametrize(
    ("write", "plan", "rule"),
    [
        (wrong.write_cases, wrong.plan_cases_with_all_masks, "hash"),
        (wrong.write_two_tables, wrong.plan_both_tables, "official"),
    ],
)
def test_the_right_versions_pass(
    tmp_path: Path, write: Callable, plan: PlanFunction, rule: str
) -> None:
    assert found(made(tmp_path, write, plan, rule), tmp_path) == []


def test_columns_that_are_read_by_their_place(tmp_path: Path) -> None:
    findings = found(wrong.by_place(made(tmp_path, *CASES)), tmp_path)
    what = "its columns in reverse order: columns are read by their place, not by their name"
    assert f"tables/cases.csv, {what}" in findings


def test_losses_are_stated_with_a_reason_and_needed(tmp_path: Path) -> None:
    source = made(tmp_path, *CASES)
    path = source.folder / "example" / "losses.yaml"
    path.write_text("tables/cases.csv: {rows: a lesion has no other trace}\n")
    assert found(source, tmp_path / "a") == []
    right = replace(source, plan=wrong.plan_cases_with_all_masks)
    (finding,) = found(right, tmp_path / "b")
    assert finding == "losses.yaml states rows of tables/cases.csv, of which every loss is noticed"
    path.write_text("tables/cases.csv: {rows: ''}\n")
    with pytest.raises(UsageError, match=r"losses.yaml.*rows"):
        found(source, tmp_path / "c")


def test_lost_files_are_stated_by_pattern_and_cost_one_study(tmp_path: Path) -> None:
    source = catalogue.find_source("brain_mri")
    whole = build_example(source, tmp_path / "whole")
    path = "yes/Y1.jpg"
    lost = [damage.Damage(path, "lost", "file", None)]
    assert media_findings(source, whole, lost, tmp_path / "a") == []
    copy = tmp_path / "copy"
    shutil.copytree(source.folder, copy)
    unstated = replace(source, folder=copy)
    (copy / "example" / "losses.yaml").unlink()
    (finding,) = media_findings(unstated, whole, lost, tmp_path / "b")
    assert finding == f"{path}, lost: 1 studies are gone, and 0 more are refused or filtered"
    (copy / "example" / "losses.yaml").write_text('"*.png": {file: folders are the only list}\n')
    findings = media_findings(unstated, whole, lost, tmp_path / "c")
    assert findings[1:] == ["losses.yaml states file of *.png, of which every loss is noticed"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuiltExample:
    return build_example(catalogue.find_source("lc25000"), tmp_path_factory.mktemp("tiles") / "set")


def test_tasks_options_and_maps_without_a_record(built: BuiltExample) -> None:
    card, records = built_card(built), built.records
    task = card.tasks["diagnosis"]
    assert unused(records, card) == []
    more = {"kind": "single", "question": "?", "options": ("A", "B"), "labels": {}}
    strange = task.model_copy(update=more)
    two = card.model_copy(update={"tasks": card.tasks | {"grade": strange}})
    assert unused(records, two) == ["no record has the task grade"]
    tasks = card.tasks | {"diagnosis": strange}
    other = card.model_copy(update={"tasks": tasks, "labels": {"x": "A"}})
    assert unused(records, other) == [
        "no record has an option of the task diagnosis",
        "no record has a label of the card's map",
    ]


def test_a_simulator_must_keep_its_word(tmp_path: Path) -> None:
    source = catalogue.find_source("lc25000")
    assert source.simulate is not None
    checks.test_simulated_tree_builds(source, SAMPLE, tmp_path / "a", quirks=True)

    def other(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
        assert source.simulate is not None
        source.simulate(out, n, seed=seed, quirks=not quirks)

    for name, quirks in (("b", False), ("c", True)):
        with pytest.raises(AssertionError):
            checks.test_simulated_tree_builds(
                replace(source, simulate=other), SAMPLE, tmp_path / name, quirks=quirks
            )
