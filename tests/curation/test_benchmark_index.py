"""A benchmark's images are kept out of what is trained on, by an index of the user's copy."""

from __future__ import annotations

import base64
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.curation.benchmark_images import BENCHMARK_IMAGES
from qoqdata.curation.benchmark_index import index_images, read_index
from qoqdata.dataset import open_dataset
from qoqdata.errors import BadTable, MissingFile, UsageError
from qoqdata.readers.ecg import read_ecg
from qoqdata.simulation import write_wfdb
from tests.cli.conftest import runner
from tests.curation.films import built
from tests.scenes import scene

TRAIN = {
    "own.png": scene(0),
    "planted.png": cv2.resize(scene(7), (96, 96), interpolation=cv2.INTER_AREA),
    "flipped.png": np.ascontiguousarray(scene(8)[:, ::-1]),
    "black.png": np.zeros((60, 60, 3), np.uint8),
}


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A benchmark of four images: a file, one in an archive, a cell of each kind of table."""
    folder = tmp_path / "little_vqa"
    folder.mkdir()
    (folder / "seven.png").write_bytes(png(scene(7)))
    (folder / "black.png").write_bytes(png(np.zeros((60, 60, 3), np.uint8)))
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        archive.writestr("a/eight.png", png(scene(8)))
        archive.writestr("a/readme.txt", "no image")
    cell = {"bytes": png(scene(11)), "path": "x.png"}
    pq.write_table(pa.table({"image": [cell], "answer": ["yes"]}), folder / "test.parquet")
    text = base64.b64encode(png(scene(12))).decode()
    (folder / "val.tsv").write_text(f"index\timage\tanswer\n1\t{text}\tA\n")
    pq.write_table(pa.table({"answer": ["yes"]}), folder / "answers.parquet")
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> qoqdata.Dataset:
    films = [(name, "train", "a", pixels) for name, pixels in TRAIN.items()]
    films.append(("held.png", "test", "a", scene(12)))
    return built(tmp_path, films)


def test_every_image_of_a_copy_is_indexed(copy: Path) -> None:
    index = index_images({"little_vqa": copy})
    assert index.unreadable == ()
    assert index.table["file"].to_pylist() == [
        *("black.png", "seven.png", "images.zip#a/eight.png", "test.parquet#image[0]"),
        "val.tsv#image[0]",
    ]
    bits = dict(zip(index.table["file"].to_pylist(), index.table["bits"].to_pylist(), strict=True))
    assert [file for file, value in bits.items() if value is None] == ["black.png"]


def test_a_planted_case_is_dropped_from_train_and_named(
    copy: Path, dataset: qoqdata.Dataset, tmp_path: Path
) -> None:
    index = tmp_path / "index.parquet"
    qoqdata.benchmark_index(copy, out=index)
    found = qoqdata.curate(dataset, against=index).benchmark_images
    assert found is not None
    assert dict(found.schema) == BENCHMARK_IMAGES | {"outcome": pl.String}
    assert found["image"].null_count() == 0 and set(found["medium"]) == {"image"}
    rows = found.select("split", "benchmark", "file", "way", "outcome").sort("file").rows()
    assert rows == [
        ("train", "little_vqa", "images.zip#a/eight.png", "flipped", "dropped"),
        ("train", "little_vqa", "seven.png", "upright", "dropped"),
        ("test", "little_vqa", "val.tsv#image[0]", "upright", "reported"),
    ]
    verdicts = pl.read_parquet(dataset.layout.verdicts).filter(rule="benchmark")
    assert set(verdicts["reason"]) == {"shows an image of the benchmark little_vqa"}
    assert set(verdicts["evidence"]) == {"seven.png", "images.zip#a/eight.png"}
    kept = {row["id"] for row in open_dataset(dataset.root)}
    assert kept.isdisjoint(verdicts["id"])


def test_a_cropped_case_is_dropped_from_train_and_named(tmp_path: Path) -> None:
    """Cut out of a case, and a case cut out of a film; scaled, brighter, and in JPEG."""
    rows, columns = scene(20).shape[:2]
    cut = scene(20)[rows // 12 :, : -columns // 15]
    smaller = cv2.resize(cut, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    whole = np.clip(scene(21) * 1.1, 0, 255).astype(np.uint8)
    films = {f"own{n}.png": scene(30 + n) for n in range(6)}
    films |= {"cut.jpg": smaller, "whole.png": whole}
    dataset = built(tmp_path, [(name, "train", "a", one) for name, one in films.items()])
    quiz = tmp_path / "quiz"
    quiz.mkdir()
    (quiz / "of_cut.png").write_bytes(png(scene(20)))
    (quiz / "of_whole.png").write_bytes(png(scene(21)[rows // 14 :, columns // 11 :]))
    for number in range(4):
        (quiz / f"other{number}.png").write_bytes(png(scene(50 + number)))
    qoqdata.benchmark_index(quiz, out=tmp_path / "index.parquet")
    result = qoqdata.curate(dataset, against=tmp_path / "index.parquet")
    assert result.benchmark_images is not None
    shown = result.benchmark_images.select("benchmark", "file", "way", "outcome")
    assert shown.sort("file").rows() == [
        ("quiz", "of_cut.png", "cropped", "dropped"),
        ("quiz", "of_whole.png", "cropped", "dropped"),
    ]
    assert result.benchmark_images["correlation"].min() >= 0.85
    assert result.verdicts.filter(rule="benchmark")["id"].n_unique() == 2


@pytest.fixture
def recordings(tmp_path: Path) -> qoqdata.Dataset:
    """A set of ten made-up ECGs, whose files lie in raw/."""
    qoqdata.simulate("georgia", n=10, out=tmp_path / "raw")
    qoqdata.build("georgia", raw=tmp_path / "raw", out=tmp_path / "set", workers=0)
    return open_dataset(tmp_path / "set")


def test_a_planted_ecg_is_dropped_from_train_and_named(
    recordings: qoqdata.Dataset, tmp_path: Path
) -> None:
    """At half the rate, another gain and the leads in reverse it is the same recording."""
    rows = recordings.records.filter(split="train").select("id", "provenance").collect()
    header = next(path for path in rows[0, "provenance"]["raw"] if path.endswith(".hea"))
    planted = set(rows.filter(pl.col("provenance").struct.field("raw").list.contains(header))["id"])
    own = read_ecg(tmp_path / "raw" / header)
    copy = tmp_path / "ecg_cases"
    signal = np.ascontiguousarray(own.signal[::-1, ::2]) * np.float32(0.5)
    write_wfdb(copy / "b/E1", signal, own.fs / 2, own.leads[::-1])
    (copy / "b/E2.hea").write_text("no header")
    index = tmp_path / "index.parquet"
    faults = qoqdata.benchmark_index({"cases": copy}, out=index).unreadable
    assert [Path(str(fault.where).split(",")[0]).name for fault in faults] == ["E2.hea"]
    result = qoqdata.curate(recordings, against=index)
    found = result.benchmark_images
    assert found is not None and set(found["id"]) == planted
    assert set(found.select("medium", "image", "file").rows()) == {("ecg", None, "b/E1.hea")}
    verdicts = result.verdicts.filter(rule="benchmark")
    assert set(verdicts["id"]) == planted
    assert set(verdicts.select("reason", "evidence").rows()) == {
        ("shows a signal of the benchmark cases", "b/E1.hea")
    }


def test_a_pass_without_an_index_leaves_its_verdicts(
    copy: Path, dataset: qoqdata.Dataset, tmp_path: Path
) -> None:
    index = tmp_path / "index.parquet"
    qoqdata.benchmark_index(copy, out=index)
    first = qoqdata.curate(dataset, against=index)
    assert first.benchmark_images is not None
    assert pl.read_parquet(dataset.layout.benchmark_images).equals(first.benchmark_images)
    assert qoqdata.curate(open_dataset(dataset.root)).verdicts.equals(first.verdicts)
    assert pl.read_parquet(dataset.layout.benchmark_images).equals(first.benchmark_images)
    report = {"benchmarks": {"on_finding": "report"}}
    last = qoqdata.curate(open_dataset(dataset.root), recipe=report, against=[index]).verdicts
    assert "benchmark" not in set(last["rule"])


def test_the_same_copy_gives_the_same_bytes(copy: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        qoqdata.benchmark_index({"b": copy}, out=tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_commands(
    copy: Path,
    dataset: qoqdata.Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from qoqdata.cli import main

    run: Callable[..., tuple[int, str, str]]
    run = runner("qoqdata", main.run, monkeypatch, capsys)
    index = tmp_path / "index.parquet"
    (copy / "cut.png").write_bytes(png(scene(3))[:200])
    code, _, err = run("benchmark-index", f"mine={copy}", "--out", index)
    assert (code, "not in it: " in err, "cut.png" in err) == (1, True, True)
    code, out, _ = run("curate", dataset.root, "--no-burned-in", "--against", index, "--json")
    assert code == 0
    assert {"benchmark": "mine", "split": "train", "outcome": "dropped", "records": 2}.items() <= (
        next(row for row in json.loads(out)["benchmark_images"] if row["split"] == "train").items()
    )
    code, _, err = run("benchmark-index", copy, f"{copy.name}={copy}", "--out", index)
    assert (code, "two copies are called 'little_vqa'" in err) == (2, True)


def test_an_older_index_is_told_with_the_command(
    dataset: qoqdata.Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of version 2, which knew no crops: its columns are others, too."""
    from qoqdata.cli import main

    old = pa.table({"benchmark": ["b"], "medium": ["image"]})
    index = tmp_path / "old.parquet"
    pq.write_table(old.replace_schema_metadata({b"benchmark index": b"2"}), index)
    run = runner("qoqdata", main.run, monkeypatch, capsys)
    code, _, err = run("curate", dataset.root, "--no-burned-in", "--against", index)
    assert code == 1 and len(err.strip().splitlines()) == 1
    assert "version 2, and 3 is read" in err and "qoqdata benchmark-index RAW --out" in err


def test_what_is_no_index_or_no_copy_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingFile, match="no such index"):
        read_index(tmp_path / "absent.parquet")
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(BadTable, match="no index of a benchmark"):
        read_index(tmp_path / "other.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="holds no image and no ECG"):
        index_images({"empty": tmp_path / "empty"})
