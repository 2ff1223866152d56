"""A benchmark that was built as a data set is scored by its own rules, by record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import qoqtrain
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, MissingKey, UsageError
from qoqdata.sources.catalogue import find_source
from qoqdata.suite.examples import build_example


def built(slug: str, out: Path, **options: str) -> Dataset:
    return build_example(find_source(slug), out / slug, options=options).dataset


def answers(path: Path, rows: dict[str, str]) -> Path:
    lines = [json.dumps({"id": id_, "response": text}) for id_, text in rows.items()]
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
