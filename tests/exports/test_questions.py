"""What exports ask: the words of training, with given regions in thousandths."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qoqdata.dataset import Dataset
from qoqdata.exports.formats import FORMATS
from qoqtrain.data.prompt import TextPart, prompt
from qoqtrain.rewards import score, truth_of_record
from tests.records.sound_rows import image_row, region
from tests.stream.sets import Part, entry, seal, write_rows

GIVEN = region(label="lesion", role="given", x_min=3.0, reader="R1", area=None)
FOUND = region(label="edge", x_max=2.0)
WORDS = "lesion: [500, 0, 1000, 1000]"
#: A choice about a given region, the same with a target, and a quantity.
ROWS = [
    image_row(
        id="a" * 32,
        kind="choice",
        options=["Benign, typical", "Malignant"],
        answer="Benign, typical",
        labels=None,
        uncertain=None,
        absent=None,
        regions=[GIVEN],
    ),
    image_row(id="b" * 32, regions=[GIVEN, FOUND], context="A report."),
    image_row(
        id="c" * 32,
        kind="number",
        options=None,
        answer="3.5 mm",
        number={"value": 3.5, "unit": "mm", "tolerance": 0.5},
        labels=None,
        uncertain=None,
        absent=None,
        regions=None,
    ),
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("asked")
    shard = write_rows(root, Part("films", "chest_xray", (3,)), 0, ROWS, row_group=5)
    return seal(root, [shard], {"films": entry("chest_xray")})


def texts(asked: Dataset, kind: str, out: Path) -> dict[str, str]:
    """The text of each record's prompt in a format, without placeholders of images."""
    FORMATS[kind](asked, out)
    if kind in ("trl", "verl"):
        rows = pl.read_parquet(out / "train.parquet").to_dicts()
        if kind == "trl":
            return {row["id"]: row["prompt"][0]["content"][-1]["text"] for row in rows}
        told = {row["extra_info"]["index"]: row["prompt"][0]["content"] for row in rows}
    else:
        (path,) = out.glob("*.jsonl")
        lines = map(json.loads, path.read_text().splitlines())
        told = {line["id"]: line["conversations"][0]["value"] for line in lines}
    return {name: text.replace("<image>", "").strip() for name, text in told.items()}


@pytest.mark.parametrize("kind", ["trl", "verl", "sharegpt", "climb"])
def test_every_format_asks_as_training_does(asked: Dataset, kind: str, tmp_path: Path) -> None:
    told = texts(asked, kind, tmp_path)
    for row in ROWS:
        parts = prompt(row, seen_sizes=[(99, 99)], frame="thousandths", boxes="never")
        training = "".join(part.text for part in parts if isinstance(part, TextPart))
        if kind == "climb":  # what its readers were trained with says nothing of the answer
            assert f"\n{told[row['id']]}\n\nFirst reason" in training
        else:
            assert training.endswith(f"\n{told[row['id']]}") and "\\boxed{}" in told[row["id"]]
        assert (WORDS in told[row["id"]]) == (row["regions"] is not None)
        assert "R1" not in told[row["id"]]
    assert told["a" * 32].count("Benign, typical") == 1


@pytest.mark.parametrize("kind", ["trl", "verl"])
def test_rows_hold_what_a_reward_needs(asked: Dataset, kind: str, tmp_path: Path) -> None:
    FORMATS[kind](asked, tmp_path)
    rows: list[dict[str, Any]] = pl.read_parquet(tmp_path / "train.parquet").to_dicts()
    facts = rows if kind == "trl" else [row["extra_info"] for row in rows]
    assert [row["kind"] for row in facts] == ["choice", "multi", "number"]
    assert [row["number"] for row in facts] == [None, None, ROWS[2]["number"]]
    assert [one["role"] for one in json.loads(facts[1]["regions"])] == ["given", "target"]


def test_a_given_region_is_no_box_to_be_found(asked: Dataset, tmp_path: Path) -> None:
    FORMATS["climb"](asked, tmp_path)
    lines = map(json.loads, (tmp_path / "annotation_train.jsonl").read_text().splitlines())
    boxes = {line["id"]: line.get("bbox") for line in lines}
    # Of two regions, one is to be found: columns 0 to 2, all 4 rows.
    assert boxes == {"a" * 32: None, "b" * 32: [0.0, 0.0, 2.0, 4.0], "c" * 32: None}


def test_an_answer_about_boxes_holds_them_as_one_reader_drew_them(tmp_path: Path) -> None:
    """Thousandths of 6 x 4 pixels by hand; all boxes of two readers would be one too many."""
    drawn = [
        region(label="edge", x_min=0.0, x_max=3.0, y_min=0.0, y_max=2.0, reader="R1"),
        region(label="edge", x_min=0.0, x_max=3.0, y_min=0.0, y_max=4.0, reader="R2"),
        region(label="spot", x_min=3.0, x_max=6.0, y_min=1.0, y_max=4.0, reader="R2"),
    ]
    none = dict.fromkeys(("options", "labels", "uncertain", "absent"))
    row = image_row(kind="boxes", answer="edge, spot", regions=drawn, **none)
    shard = write_rows(tmp_path / "set", Part("films", "chest_xray", (1,)), 0, [row], row_group=5)
    dataset = seal(tmp_path / "set", [shard], {"films": entry("chest_xray")})
    FORMATS["sharegpt"](dataset, tmp_path / "out")
    (line,) = map(json.loads, (tmp_path / "out" / "train.jsonl").read_text().splitlines())
    human, answer = (turn["value"] for turn in line["conversations"])
    assert "a JSON list in a ```json block" in human and "thousandths" in human
    width, height = (row["image_info"][0][side] for side in ("width", "height"))
    told = [
        {"bbox_2d": [0, 0, round(3000 / width), 1000], "label": "edge"},
        {"bbox_2d": [round(3000 / width), round(1000 / height), 1000, 1000], "label": "spot"},
    ]
    assert answer == f"```json\n{json.dumps(told)}\n```\n\\boxed{{edge, spot}}"
    truth = truth_of_record(row, frame="thousandths")
    (found,) = score([answer], [truth], "qoq_med_code")
    assert found["answer"] == 1.0 and found["grounding"] > 0.99
