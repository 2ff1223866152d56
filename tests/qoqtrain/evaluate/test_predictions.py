"""The predictions file: formats, and rows that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile
from qoqtrain.evaluate import Prediction, read_predictions


def lines(folder: Path, *rows: Any) -> Path:
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_json_lines(tmp_path: Path) -> None:
    path = lines(
        tmp_path,
        {"id": "a", "response": "\\boxed{é}", "scores": [0, 1.5], "note": {"free": 1}},
        {"id": "b", "response": None, "scores": {"A": -3, "B": 0.5}},
        {"id": "c", "response": "", "seen_sizes": [[448, 336]]},
    )
    assert read_predictions(path) == {
        "a": Prediction("\\boxed{é}", (0.0, 1.5)),
        "b": Prediction(None, {"A": -3.0, "B": 0.5}),
        "c": Prediction("", None, ((448.0, 336.0),)),
    }


def test_lone_surrogates_are_no_text(tmp_path: Path) -> None:
    path = lines(tmp_path, {"id": "a", "response": "\ud800 \U0001f600"})
    assert read_predictions(path)["a"].response == "\ufffd \U0001f600"
    with pytest.raises(BadTable, match="the id"):
        read_predictions(lines(tmp_path, {"id": "\ud800", "response": ""}))


def test_parquet_with_a_struct_whose_fields_differ_by_row(tmp_path: Path) -> None:
    path = tmp_path / "answers.parquet"
    rows = {
        "id": ["a", "b", "c"],
        "response": ["x", "y", None],
        "scores": [{"A": 0.5, "B": None}, {"A": None, "B": 1.0}, None],
    }
    pl.DataFrame(rows).write_parquet(path)
    found = read_predictions(path)
    assert found["a"] == Prediction("x", {"A": 0.5})
    assert found["b"] == Prediction("y", {"B": 1.0})
    assert found["c"] == Prediction(None)


def test_parquet_with_lists_and_maps(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    listed = pl.DataFrame({"id": ["a"], "response": ["x"], "scores": [[0.25, 0.75]]})
    listed.write_parquet(tmp_path / "list.parquet")
    assert read_predictions(tmp_path / "list.parquet")["a"].scores == (0.25, 0.75)
    kind = pa.map_(pa.string(), pa.float64())
    columns = {"id": ["a"], "response": ["x"], "scores": pa.array([[("A", 0.5), ("B", 2.0)]], kind)}
    pq.write_table(pa.table(columns), tmp_path / "map.parquet")
    assert read_predictions(tmp_path / "map.parquet")["a"].scores == {"A": 0.5, "B": 2.0}


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ([1], "no JSON object"),
        ({"response": "x"}, "the id None"),
        ({"id": 7, "response": "x"}, "the id 7"),
        ({"id": "a"}, "no response"),
        ({"id": "a", "response": 3}, "no response"),
        ({"id": "a", "response": "x", "scores": "high"}, "no list and no mapping"),
        ({"id": "a", "response": "x", "scores": ["high"]}, "no number"),
        ({"id": "a", "response": "x", "scores": [True]}, "no number"),
        ({"id": "a", "response": "x", "scores": [None, 1]}, "no number"),
        ({"id": "a", "response": "x", "scores": [float("nan")]}, "no number"),
        ({"id": "a", "response": "x", "scores": [10**400]}, "beyond float64"),
        ({"id": "a", "response": "x", "seen_sizes": [448]}, "no list of sizes"),
        ({"id": "a", "response": "x", "seen_sizes": [[448, 0]]}, "impossible size"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: Any, what: str) -> None:
    path = lines(tmp_path, {"id": "fine", "response": ""}, row)
    with pytest.raises(BadTable, match=what) as caught:
        read_predictions(path)
    assert caught.value.where == f"{path}, line 2"


def test_an_id_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = lines(tmp_path, *({"id": "a", "response": text} for text in "xy"))
    with pytest.raises(DuplicateKey, match="the id a is there twice"):
        read_predictions(path)


def test_files_that_are_no_predictions(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        read_predictions(tmp_path / "absent.jsonl")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    with pytest.raises(BadTable, match="Parquet"):
        read_predictions(broken)
    pl.DataFrame({"id": ["a"]}).write_parquet(broken)
    with pytest.raises(BadTable, match="'response'"):
        read_predictions(broken)
    deep = tmp_path / "deep.jsonl"
    deep.write_text('{"id": ' + "[" * 200_000)
    with pytest.raises(BadTable, match="JSON"):
        read_predictions(deep)


@settings(max_examples=60)
@given(content=st.binary(max_size=60), suffix=st.sampled_from(["jsonl", "parquet"]))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / f"file.{suffix}"
    path.write_bytes(content)
    try:
        assert isinstance(read_predictions(path), dict)
    except InputError as error:
        assert str(path) in str(error)
