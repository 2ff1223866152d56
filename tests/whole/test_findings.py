"""One set with all that schema 2 can say, through every reader, every export, and `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.exports.formats import FORMATS, write_export
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildSetting, SourceRequest
from qoqdata.records.identity import Salt
from tests.whole import findings

QUESTIONS = 8
SALT = Salt(b"a salt of thirty-two bytes, test")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("whole")
    findings.write_films(root / "raw")
    request = SourceRequest(source="findings", raw=root / "raw")
    setting = BuildSetting(SALT, workers=0)
    manifest = build_requests([(findings.source(root), request)], root / "set", setting)
    assert manifest.sources["findings"].counts.quarantined == 0
    return open_dataset(root / "set")


@pytest.fixture(scope="module")
def rows(made: Dataset) -> list[dict[str, Any]]:
    return [row for path in made.paths for row in pq.read_table(path).to_pylist()]


def film(rows: list[dict[str, Any]]) -> dict[tuple[str, str | None], dict[str, Any]]:
    """The questions of one film, by task and item."""
    study = rows[0]["study"]
    return {(row["task"], row["item"]): row for row in rows if row["study"] == study}


def test_the_set_is_sound(made: Dataset) -> None:
    assert qoqdata.validate(made) == []


def test_several_questions_are_about_one_study(rows: list[dict[str, Any]]) -> None:
    assert len(rows) == len({row["id"] for row in rows}) == QUESTIONS * findings.FILMS
    assert len({row["study"] for row in rows}) == findings.FILMS
    questions = film(rows)
    assert len(questions) == QUESTIONS
    lesions = [questions["lesion", item] for item, *_ in findings.LESIONS]
    assert [row["answer"] for row in lesions] == ["Benign", "Malignant"]
    assert lesions[0]["patient"] == lesions[1]["patient"] is not None


def test_a_label_has_four_states(rows: list[dict[str, Any]]) -> None:
    row = film(rows)["findings", None]
    states = {name: row[name] for name in ("labels", "uncertain", "absent")}
    assert states == {"labels": ["Opacity"], "uncertain": ["Effusion"], "absent": ["Nodule"]}
    unmentioned = set(row["options"]) - {one for names in states.values() for one in names}
    assert unmentioned == {"Fracture"}


def test_the_id_picks_the_wording(rows: list[dict[str, Any]]) -> None:
    asked = [row["question"] for row in rows if row["task"] == "findings"]
    assert len(set(asked)) > 1


def test_choices_numbers_and_grades(rows: list[dict[str, Any]]) -> None:
    questions = film(rows)
    place, size, grade = (questions[name, None] for name in ("place", "size", "grade"))
    assert (place["kind"], place["options"]) == ("choice", list(findings.OPTIONS))
    assert place["answer"] == "Lower lobe, right & medial"
    assert size["number"] == {"value": 12.5, "unit": "mm", "tolerance": 0.5}
    assert size["answer"] == "12.5 mm" and size["options"] is None
    assert grade["number"] == {"value": 2.0, "unit": None, "tolerance": 0.0}


def test_masks_of_two_readers(rows: list[dict[str, Any]]) -> None:
    row = film(rows)["boxes", None]
    assert [one["reader"] for one in row["mask_info"]] == ["r1", "r2"]
    assert [one["image"] for one in row["mask_info"]] == [0, 0] and len(row["images"]) == 1


def test_repeated_images_are_stored_once(made: Dataset) -> None:
    raw = findings.SIDE * findings.SIDE * 3  # noise: what a PNG of it takes at least
    size = sum(shard.bytes for shard in made.manifest.shards)
    assert size < 2 * raw * findings.FILMS


def test_other_readers_read_the_same(made: Dataset, rows: list[dict[str, Any]]) -> None:
    from datasets import load_dataset

    files = [str(path) for path in made.paths]
    wanted = {row["id"]: (row["answer"], row["images"][0]["bytes"]) for row in rows}
    frame = pl.read_parquet(files)
    assert {
        row["id"]: (row["answer"], row["images"][0]["bytes"]) for row in frame.to_dicts()
    } == wanted
    table = duckdb.sql(f"SELECT id, answer, images[1].bytes FROM read_parquet({files})").fetchall()
    assert {id_: (answer, bytes(data)) for id_, answer, data in table} == wanted
    for streaming in (False, True):
        loaded = load_dataset("parquet", data_files=files, split="train", streaming=streaming)
        read = {row["id"]: (row["answer"], row["images"][0].size) for row in loaded}
        assert read == {row["id"]: (row["answer"], (findings.SIDE, findings.SIDE)) for row in rows}


def test_the_stream_reads_the_same(made: Dataset, rows: list[dict[str, Any]]) -> None:
    wanted = {row["id"]: row for row in rows}
    streamed = {row["id"]: row for row in made.stream("test", images="bytes", epochs=1)}
    assert streamed.keys() == wanted.keys()
    for id_, row in streamed.items():
        assert row["images"] == [image["bytes"] for image in wanted[id_]["images"]]
        assert row["masks"] == [mask["bytes"] for mask in wanted[id_]["masks"]]
        for column in ("kind", "item", "absent", "number", "regions", "mask_info", "question"):
            assert row[column] == wanted[id_][column]


@pytest.mark.parametrize("kind", FORMATS)
def test_every_export_holds_every_question(made: Dataset, kind: str, tmp_path: Path) -> None:
    tally = write_export(made, to=kind, out=tmp_path / kind)
    assert tally.left_out == {} and tally.written == {"test": QUESTIONS * findings.FILMS}


def test_every_kind_is_scored(made: Dataset, rows: list[dict[str, Any]], tmp_path: Path) -> None:
    import qoqtrain

    path = tmp_path / "right.jsonl"

    def response(row: dict[str, Any]) -> str:
        if row["kind"] == "boxes":
            box = [{"bbox_2d": [38, 38, 59, 59], "label": "nodule"}]
            return f"<answer>{json.dumps(box)}</answer>"
        return rf"\boxed{{{row['answer']}}}"

    lines = (json.dumps({"id": row["id"], "response": response(row)}) for row in rows)
    path.write_text("\n".join(lines) + "\n")
    right = qoqtrain.evaluate_predictions(made, path, bootstrap=0)
    by_task: dict[str, set[Any]] = {}
    for outcome in right.outcomes:
        by_task.setdefault(outcome.task, set()).add((outcome.status, outcome.correct))
    closed = {"findings", "lesion", "place", "size", "grade", "report"}
    assert {task: by_task[task] for task in closed} == {task: {("ok", True)} for task in closed}
    assert {status for status, _ in by_task["boxes"]} == {"ok"}
    wrong = tmp_path / "wrong.jsonl"
    part = {"place": "Lower lobe", "size": "12.5 cm", "grade": "Severe", "lesion": "Benign"}
    lines = (
        json.dumps({"id": row["id"], "response": rf"\boxed{{{part.get(row['task'], '?')}}}"})
        for row in rows
    )
    wrong.write_text("\n".join(lines) + "\n")
    outcomes = qoqtrain.evaluate_predictions(made, wrong, bootstrap=0).outcomes
    correct = {task: [one.correct for one in outcomes if one.task == task] for task in part}
    assert not any(correct["place"]) and not any(correct["size"]) and not any(correct["grade"])
    assert sum(map(bool, correct["lesion"])) == findings.FILMS, "one of two lesions is benign"
