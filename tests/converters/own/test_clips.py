"""A user's own clips: frames of every format, joined by key, patients kept together."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

import qoqdata
from qoqdata.contract.storage import Storage
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.simulation import write_dicom, write_video
from qoqdata.suite.examples import SALT

MAPPING: dict[str, Any] = {
    "slug": "echo",
    "name": "Echo",
    "domain": "ultrasound",
    "question": "What?",
    "labels": {"x": "X", "y": "Y"},
    "table": {"file": "t.csv", "key": "clip", "labels": "label"},
    "frames": 2,
}
#: Frames of one grey each: 0, 30, 60 ... 210.
GREYS = np.arange(8, dtype=np.uint8) * 30
FRAMES = np.broadcast_to(GREYS[:, None, None], (8, 16, 16)).copy()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw" / "clips").mkdir(parents=True)
    return tmp_path / "raw"


def built(raw: Path, rows: str, **changes: Any) -> tuple[list[dict], dict[str, str], Any]:
    """Records by label, reasons of quarantine by unit, and the data set."""
    (raw / "t.csv").write_text(rows)
    request = SourceRequest(source="clips", raw=raw, mapping=MAPPING | changes)
    out = raw.parent / "set"
    config = BuildConfig(sources=(request,), storage=Storage(policy="native"))
    build(config, out, BuildSetting(SALT, workers=0))
    dataset = qoqdata.open(out)
    records = [row for path in dataset.paths for row in pq.read_table(path).to_pylist()]
    path = out / "quarantine" / "echo.parquet"
    rows = pl.read_parquet(path).to_dicts() if path.is_file() else []
    return records, {row["unit"]: row["reason"] for row in rows}, dataset


def greys(record: dict) -> list[float]:
    return [float(np.asarray(Image.open(io.BytesIO(i["bytes"]))).mean()) for i in record["images"]]


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".mov", ".gif", ".dcm", ""])
def test_frames_at_the_centres_of_halves(raw: Path, suffix: str) -> None:
    """Of 8 frames the second and the sixth, grey 60 and 180, whatever the format."""
    path = raw / "clips" / f"a{suffix}"
    if suffix in (".dcm", ""):
        elements = {"WindowCenter": 128, "WindowWidth": 256}
        write_dicom(path, FRAMES, modality="US", fps=20, age=61, sex="F", **elements)
    else:
        write_video(path, list(FRAMES), 20)
    changes = {} if suffix else {"clip": "clips/{key}"}
    (record,), refused, _ = built(raw, "clip,label\na,x\n", **changes)
    assert refused == {}
    assert record["modality"] == "video" and record["answer"] == "X"
    assert [info["index"] for info in record["image_info"]] == [2, 6]
    assert greys(record) == pytest.approx([60, 180], abs=4)
    assert any("of 8" in note for note in record["provenance"]["notes"])
    if suffix in (".dcm", ""):
        assert (record["age"], record["sex"]) == (61, "female")


def test_each_clip_that_gives_no_record_has_its_reason(raw: Path) -> None:
    write_video(raw / "clips" / "good.avi", list(FRAMES), 20)
    write_video(raw / "clips" / "unnamed.avi", list(FRAMES), 20)
    write_video(raw / "clips" / "still.gif", list(FRAMES[:1]), 20)
    write_dicom(raw / "clips" / "still.dcm", FRAMES[0])
    content = (raw / "clips" / "good.avi").read_bytes()
    (raw / "clips" / "cut.avi").write_bytes(content[: len(content) // 2])
    (raw / "clips" / "old.flv").write_bytes(b"FLV\1")
    table = "clip,label\ngood,x\nstill.gif,x\nstill.dcm,y\ncut,x\nold,x\ngone,x\n"
    records, refused, _ = built(raw, table)
    assert [record["answer"] for record in records] == ["X"]
    assert refused == {
        "clips/still.gif": "unsupported_format",
        "clips/still.dcm": "unsupported_format",
        "clips/cut.avi": "unreadable_file",
        "clips/unnamed.avi": "missing_key",
        "old": "unsupported_format",
        "gone": "missing_file",
    }


def test_the_patient_of_a_dicom_header_keeps_clips_together(raw: Path) -> None:
    rows = []
    for number in range(12):
        name = f"c{number}"
        patient = f"p{number % 3}"
        write_dicom(raw / f"{name}.dcm", FRAMES + np.uint8(number), patient=patient, study=name)
        rows.append(f"{name},x")
    records, refused, _ = built(raw, "clip,label\n" + "\n".join(rows) + "\n")
    assert refused == {} and len(records) == 12
    splits: dict[str, set[str]] = {}
    for record in records:
        splits.setdefault(record["patient"], set()).add(record["split"])
    assert len(splits) == 3 and all(len(one) == 1 for one in splits.values())


def test_several_questions_about_one_clip(raw: Path) -> None:
    write_video(raw / "clips" / "a.avi", list(FRAMES), 20)
    table = {"file": "t.csv", "key": "clip", "item": "q", "answer": "ef"}
    changes = {"kind": "number", "number": {"unit": "%", "tolerance": 5}, "labels": {}}
    records, refused, _ = built(
        raw, "clip,q,ef\na,rest,55\na,stress,61.5\n", table=table, **changes
    )
    assert refused == {}
    assert sorted((one["item"], one["answer"]) for one in records) == [
        ("rest", "55 %"),
        ("stress", "61.5 %"),
    ]
