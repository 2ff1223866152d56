"""Which rollouts become traces, and the version of the set that holds them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import qoqdata
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import BadTable, DatasetError, UsageError
from qoqdata.reasoning import (
    NOT_TRAINED_ON,
    PERSONAL,
    admitted,
    best_traces,
    read_traces,
    thinking,
    write_traced_set,
)
from qoqdata.validation import find
from tests.records.sound_rows import image_row
from tests.validation import written_set


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ("<think> It is dull. </think> \\boxed{A}", "It is dull."),
        ("<THINK>a\nb</THINK>", "a\nb"),
        ("\\boxed{A}", None),
        ("<think>  </think>\\boxed{A}", None),
        ("<think>one</think><think>two</think>", None),
        ("<think>open", None),
        ("<think>a<think>b</think>", None),
    ],
)
def test_thinking(response: str, text: str | None) -> None:
    assert thinking(response) == text


def rollouts(*rows: tuple) -> pl.DataFrame:
    names = ("id", "response", "reward", "overall", "step", "rollout", "policy", "truncated")
    return pl.DataFrame(rows, schema=list(names), orient="row")


def said(text: str) -> str:
    return f"<think>{text}</think>\\boxed{{A}}"


def test_best_of_a_question() -> None:
    table = rollouts(
        ("q1", said("wrong"), 0.0, 0.9, 9, 0, "p", False),
        ("q1", said("good but old"), 1.0, 0.9, 1, 0, "p", False),
        ("q1", said("good, new and long"), 1.0, 0.9, 2, 0, "p", False),
        ("q1", said("good, new"), 1.0, 0.9, 2, 1, "p", False),
        ("q1", said("ugly format"), 1.0, 0.7, 3, 0, "p", False),
        ("q2", said("cut"), 1.0, 1.0, 1, 0, "p", True),
        ("q3", "\\boxed{A}", 1.0, 1.0, 1, 0, "p", False),
        ("q4", said("half right"), 0.5, 0.5, 1, 0, "p", False),
    )
    assert best_traces(table).rows() == [("q1", "good, new", "p", 1.0)]
    assert best_traces(table, least=0.5)["id"].to_list() == ["q1", "q4"]
    assert best_traces(table.sample(fraction=1.0, shuffle=True, seed=3)).equals(best_traces(table))


def test_read_a_folder_of_steps(tmp_path: Path) -> None:
    for step in (1, 2):
        frame = pl.DataFrame({"id": ["q"], "response": [said(f"{step}")], "reward": [1.0]})
        frame.with_columns(step=pl.lit(step, pl.Int32)).write_parquet(tmp_path / f"{step}.parquet")
    assert best_traces(read_traces(tmp_path))["reasoning"].to_list() == ["2"]


def test_read_json_lines(tmp_path: Path) -> None:
    line = {"id": "q", "response": said("why"), "reward": 1, "truncated": False}
    (tmp_path / "a.jsonl").write_text(json.dumps(line) + "\n")
    assert best_traces(read_traces(tmp_path / "a.jsonl")).rows() == [("q", "why", None, 1.0)]


def test_unusable_rollouts(tmp_path: Path) -> None:
    pl.DataFrame({"id": ["q"], "reward": [1.0]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadTable, match="lacks the column 'response'"):
        read_traces(tmp_path / "a.parquet")
    words = {"id": ["q"], "response": [said("why")], "reward": ["high"]}
    pl.DataFrame(words).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(BadTable, match="cannot be read"):
        read_traces(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"no")
    with pytest.raises(BadTable, match="cannot be read"):
        read_traces(tmp_path / "b.parquet")


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    rows = [
        image_row(id=f"r{n}", patient=f"p{n}", study=f"s{n}", split=split)
        for n, split in enumerate(["train", "train", "test"])
    ]
    rows[1] |= {"reasoning": "older", "reasoning_policy": "someone"}
    return written_set.write(tmp_path / "set", rows)


def traces(**reasoning: str) -> pl.DataFrame:
    names = {"id": list(reasoning), "reasoning": list(reasoning.values())}
    return pl.DataFrame(names).with_columns(policy=pl.lit("p", pl.String))


def test_new_version(dataset: Dataset, tmp_path: Path) -> None:
    write_traced_set(dataset, traces(r0="because"), tmp_path / "new", policy=None)
    new = open_dataset(tmp_path / "new")
    assert list(find(new)) == []
    columns = ("id", "reasoning", "reasoning_policy")
    assert new.records.select(columns).collect().rows() == [
        ("r2", None, None),
        ("r0", "because", "p"),
        ("r1", "older", "someone"),
    ]
    others = [name for name in new.records.collect_schema().names() if name not in columns]
    before, after = (d.records.select("id", *others).sort("id").collect() for d in (dataset, new))
    assert before.equals(after)
    shards = {s.path: s.sha256 for s in dataset.manifest.shards}
    changed = [s.path for s in new.manifest.shards if shards[s.path] != s.sha256]
    assert changed == ["data/films/train-00000.parquet"]


def test_what_does_not_fit(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"1 of 1 rollout ids are not .* such as rx"):
        write_traced_set(dataset, traces(rx="because"), tmp_path / "new", policy=None)
    nobody = traces(r0="because").with_columns(policy=pl.lit(None, pl.String))
    with pytest.raises(UsageError, match="--policy NAME"):
        write_traced_set(dataset, nobody, tmp_path / "new", policy=None)
    with pytest.raises(UsageError, match="not empty"):
        write_traced_set(dataset, traces(r0="because"), dataset.root, policy=None)


def test_only_what_is_trained_on_and_names_nobody_becomes_a_trace(
    dataset: Dataset, tmp_path: Path
) -> None:
    named = said("Seen by Dr. John Smith, phone 617-555-0142.")
    table = rollouts(
        ("r0", named, 1.0, 1.0, 2, 0, "p", False),
        ("r0", said("because"), 1.0, 0.5, 1, 0, "p", False),
        ("r1", named, 1.0, 1.0, 1, 0, "p", False),
        ("r2", said("the answer to a test question"), 1.0, 1.0, 1, 0, "p", False),
        ("r2", said("wrong"), 0.0, 0.0, 1, 1, "p", False),
    )
    may_be, left_out = admitted(table, dataset)
    assert left_out == {NOT_TRAINED_ON: 1, PERSONAL: 2}
    # The best of r0 names a person; the next one does.
    assert best_traces(may_be)["reasoning"].to_list() == ["because"]
    # Without the gates, both would be traces.
    assert best_traces(table)["id"].to_list() == ["r0", "r1", "r2"]
    path = tmp_path / "rollouts.parquet"
    table.write_parquet(path)
    traced = qoqdata.traces(dataset, path, out=tmp_path / "new")
    assert (traced.traces, traced.left_out) == (1, left_out)
    # A record that curation dropped is not trained on.
    qoqdata.decide(dataset, "r0", False, why="cut off", author="ana")
    assert admitted(table, open_dataset(dataset.root))[1] == {NOT_TRAINED_ON: 3, PERSONAL: 1}
