"""A benchmark that was built as a data set is scored by its own rules, by record."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import qoqtrain
from qoqdata.dataset import Dataset
from qoqdata.errors import BadTable, DatasetError, MissingKey, UsageError
from qoqdata.sources.catalogue import find_source
from qoqdata.suite.examples import build_example


def built(slug: str, out: Path, **options: str) -> Dataset:
    return build_example(find_source(slug), out / slug, options=options).dataset


def answers(path: Path, rows: dict[str, str]) -> Path:
    lines = [json.dumps({"id": id_, "response": text}) for id_, text in rows.items()]
    path.write_text("\n".join(lines) + "\n")
    return path


def perfect_scores(path: Path, rows: list[dict[str, Any]]) -> Path:
    """One number an option in the order of the record, 1 for a label and 0 for none."""
    lines = []
    for row in rows:
        scores = [float(label in row["labels"]) for label in row["options"]]
        lines.append(json.dumps({"id": row["id"], "response": None, "scores": scores}))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_closed_and_open_are_told_apart(tmp_path: Path) -> None:
    dataset = built("vqa_rad", tmp_path)
    asked = [row for row in dataset if row["split"] == "test"]
    closed = [row for row in asked if row["kind"] == "choice"]
    assert 0 < len(closed) < len(asked)
    # All closed ones right, and one open one: its words in another case.
    said = {row["id"]: f"\\boxed{{{row['answer'].lower()}}}" for row in closed}
    one = next(row for row in asked if row["kind"] == "open")
    said[one["id"]] = f"\\boxed{{{one['answer'].upper()}}}"
    file = answers(tmp_path / "a.jsonl", said)
    result = qoqtrain.evaluate_benchmark("vqa_rad", None, file, dataset=dataset).result
    figures = result["figures"]
    assert figures["closed_records"] == len(closed)
    assert figures["closed_accuracy"] == 1.0
    assert figures["open_exact_match"] == 1 / (len(asked) - len(closed))
    assert figures["accuracy"] == (len(closed) + 1) / len(asked)
    assert result["run"]["questions"] == dataset.manifest.digest


def test_letters_are_those_of_the_options_shown(tmp_path: Path) -> None:
    dataset = built("omnimedvqa", tmp_path)
    asked = [row for row in dataset if row["domain"] == "fundus"]
    letters = {row["id"]: "ABCD"[row["options"].index(row["answer"])] for row in asked}
    file = answers(tmp_path / "a.jsonl", letters)
    result = qoqtrain.evaluate_benchmark("omnimedvqa_fundus", None, file, dataset=dataset).result
    assert result["figures"]["records"] == len(asked) < len(dataset)
    assert result["figures"]["accuracy"] == 1.0
    wrong = {id_: "B" if letter == "A" else "A" for id_, letter in letters.items()}
    file = answers(tmp_path / "b.jsonl", wrong)
    result = qoqtrain.evaluate_benchmark("omnimedvqa_fundus", None, file, dataset=dataset).result
    assert result["figures"]["accuracy"] == 0.0


def test_all_that_apply_are_scored_by_their_letters(tmp_path: Path) -> None:
    dataset = built("funbench", tmp_path)
    said = {row["id"]: f"\\boxed{{{row['answer']}}}" for row in dataset}
    several = [row for row in dataset if row["kind"] == "multi" and ", " in row["answer"]]
    assert several
    file = answers(tmp_path / "a.jsonl", said)
    figures = qoqtrain.evaluate_benchmark("funbench", None, file, dataset=dataset).result["figures"]
    # Letters say no class, so that the figure by class is left to the benchmark's own file.
    assert (figures["accuracy"], figures["sens_spec_hmean"]) == (1.0, None)
    # One letter of several is not the answer.
    said[several[0]["id"]] = several[0]["answer"][0]
    file = answers(tmp_path / "b.jsonl", said)
    figures = qoqtrain.evaluate_benchmark("funbench", None, file, dataset=dataset).result["figures"]
    assert figures["accuracy"] == pytest.approx(1 - 1 / len(dataset))


def test_parts_of_ecgbench_are_scored_apart(tmp_path: Path) -> None:
    dataset = built("ecgbench", tmp_path)
    said = {row["id"]: f"\\boxed{{{row['answer']}}}" for row in dataset}
    file = answers(tmp_path / "a.jsonl", said)
    for part in ("ptb", "cpsc", "code15", "csn", "g12", "mmmu", "ecgqa"):
        rules = f"ecgbench_{part}"
        figures = qoqtrain.evaluate_benchmark(rules, None, file, dataset=dataset).result["figures"]
        asked = sum(row["task"] == part for row in dataset)
        assert (figures["records"], figures["accuracy"]) == (asked, 1.0), part
    (report,) = (row["id"] for row in dataset if row["task"] == "report")
    file = answers(tmp_path / "b.jsonl", {report: '{"Rhythm": {"Score": 7}}'})
    result = qoqtrain.evaluate_benchmark("ecgbench_report", None, file, dataset=dataset).result
    assert result["figures"]["report_score"] == pytest.approx(0.7)
    # A policy's own report is no reply of a judge.
    file = answers(tmp_path / "c.jsonl", {report: "Sinus rhythm."})
    with pytest.raises(BadTable, match="the judge's reply cannot be read"):
        qoqtrain.evaluate_benchmark("ecgbench_report", None, file, dataset=dataset)


def test_superclasses_of_ptb_xl_are_ranked_by_record(tmp_path: Path) -> None:
    """Options in the record's order; other tasks of the source and other splits do not count."""
    dataset = built("ptb_xl", tmp_path)
    asked = [r for r in dataset if (r["split"], r["task"]) == ("test", "diagnosis")]
    path = perfect_scores(tmp_path / "scores.jsonl", asked)
    result = qoqtrain.evaluate_benchmark("ptbxl_superclass", None, path, dataset=dataset).result
    assert result["figures"]["records"] == len(asked) > 0
    assert result["figures"]["missing"] == 0 and result["figures"]["macro_auroc"] in (1.0, None)


def test_cases_of_the_list_count_and_no_others(tmp_path: Path) -> None:
    source = find_source("cpsc2018")
    simulate = import_module(source.module.removesuffix("source") + "simulate").simulate
    simulate(tmp_path / "raw", 60, seed=2, seconds=(0.2, 0.3))
    dataset = build_example(source, tmp_path / "set", raw=tmp_path / "raw").dataset
    listed = set(source.card.block[0].keys)
    asked = [row for row in dataset if row["provenance"]["raw"][0][-9:-4] in listed]
    assert 5 <= len(asked) < sum(row["split"] != "train" for row in dataset)
    path = perfect_scores(tmp_path / "scores.jsonl", asked)
    result = qoqtrain.evaluate_benchmark("cpsc2018_cls", None, path, dataset=dataset).result
    assert (result["figures"]["records"], result["figures"]["missing"]) == (len(asked), 0)
    assert result["figures"]["macro_auroc"] == 1.0


def test_a_benchmark_without_its_list_names_the_file(tmp_path: Path) -> None:
    dataset = built("chapman_shaoxing", tmp_path)
    file = answers(tmp_path / "a.jsonl", {dataset[0]["id"]: "AF"})
    with pytest.raises(UsageError, match=r"chapman_test\.csv of MERL-ICML2024") as refused:
        qoqtrain.evaluate_benchmark("csn", None, file, dataset=dataset)
    assert "--questions" in str(refused.value)


def test_what_the_set_does_not_hold_is_refused(tmp_path: Path) -> None:
    dataset = built("slake", tmp_path, language="both")
    file = answers(tmp_path / "a.jsonl", {dataset[0]["id"]: "yes"})
    with pytest.raises(UsageError, match="built with language=both, and en counts"):
        qoqtrain.evaluate_benchmark("slake", None, file, dataset=dataset)
    with pytest.raises(UsageError, match="holds no source vqa_rad"):
        qoqtrain.evaluate_benchmark("vqa_rad", None, file, dataset=dataset)
    with pytest.raises(UsageError, match="from one place"):
        qoqtrain.evaluate_benchmark("slake", None, file)
    english = built("gmai_mmbench", tmp_path)
    file = answers(tmp_path / "b.jsonl", {english[0]["id"]: "A"})
    with pytest.raises(DatasetError, match="in the split test"):
        qoqtrain.evaluate_benchmark("gmai_mmbench_fundus", None, file, dataset=english)
    file = answers(tmp_path / "c.jsonl", {"0" * 32: "A"})
    with pytest.raises(MissingKey):
        qoqtrain.evaluate_benchmark("gmai_mmbench_fundus", None, file, dataset=english)
