"""Records of a data set by number, and how a data set shows itself."""

from __future__ import annotations

import base64
import os
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

import qoqdata
from qoqdata import items
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError
from qoqdata.parquet_memory import row_group_memory
from qoqdata.remote import integrity
from tests.records.sound_rows import ecg_row, image_row, table
from tests.validation.written_set import load, reseal, save, write

HOSTILE = "<script>alert(1)</script> & \"quotes\" 'too'"
#: Manifest order is by path: test, train, validation.
ORDER = ["r3", "r1", "r4", "r5", "r6", "r2"]


def image(number: int, split: str = "train", **changes: Any) -> dict[str, Any]:
    keys = {"id": f"r{number}", "patient": f"p{number}", "study": f"s{number}", "split": split}
    return image_row(**keys | changes)


ROWS = [
    image(1),
    image(2, "validation"),
    image(3, "test"),
    ecg_row(id="r4", source="films", study="s4"),
    image(5, images=None, image_info=None),
    image(6, images=None, image_info=None, regions=None, masks=None, context="Cough."),
]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two images, an ECG, a text and an annotation-only record in three splits."""
    return write(tmp_path / "set", ROWS, annotation_only=1)


def drop(dataset: Dataset, *ids: str) -> None:
    path = dataset.layout.verdicts
    path.parent.mkdir(exist_ok=True)
    before = path.stat().st_mtime_ns if path.exists() else 0
    rows = {"id": list(ids), "keep": [False] * len(ids), "rule": ["leakage"] * len(ids)}
    schema = {"id": pl.String, "keep": pl.Boolean, "rule": pl.String}
    pl.DataFrame(rows, schema=schema).write_parquet(path)
    # Coarse clocks must not hide a change.
    os.utime(path, ns=(before + 10**9, before + 10**9))


def test_records_by_number(dataset: Dataset) -> None:
    assert len(dataset) == 6
    assert [dataset[number]["id"] for number in range(6)] == ORDER
    assert [dataset[number]["id"] for number in range(-6, 0)] == ORDER
    assert dataset[np.int64(1)] == dataset[1]
    first = dataset[0]
    assert type(first) is dict
    assert first == pq.read_table(dataset.paths[0]).to_pylist()[0]
    assert first["images"][0]["bytes"].startswith(b"\x89PNG")
    assert dataset[2]["ecg"]["leads"] == ROWS[3]["ecg"]["leads"]


def test_annotation_only_records_count(dataset: Dataset) -> None:
    assert dataset[3]["id"] == "r5" and dataset[3]["images"] is None
    assert "r5" not in dataset.kept()["id"]


def test_slices_are_lists(dataset: Dataset) -> None:
    for part in (
        slice(None),
        slice(1, 4),
        slice(-2, None),
        slice(None, None, -1),
        slice(4, 0, -2),
        slice(3, 3),
        slice(90, 99),
    ):
        rows = dataset[part]
        assert type(rows) is list
        assert [row["id"] for row in rows] == ORDER[part]
    assert [row["id"] for row in dataset] == ORDER


@pytest.mark.parametrize("number", [6, -7, 10**12])
def test_beyond_the_records(dataset: Dataset, number: int) -> None:
    with pytest.raises(IndexError, match=f"no record {number} among 6"):
        dataset[number]


@pytest.mark.parametrize("index", ["train", 1.0, None, (1, 2)])
def test_what_is_no_number(dataset: Dataset, index: Any) -> None:
    with pytest.raises(TypeError):
        dataset[index]


def test_dropped_records_are_left_out(dataset: Dataset) -> None:
    assert len(dataset) == 6
    drop(dataset, "r1", "gone")
    assert len(dataset) == 5 and [row["id"] for row in dataset] == [i for i in ORDER if i != "r1"]
    drop(dataset, "r3", "r1", "r5")
    assert [row["id"] for row in dataset[:]] == ["r4", "r6", "r2"]
    assert dataset[-1]["id"] == "r2"
    drop(dataset)
    assert len(dataset) == 6


def test_only_the_row_group_is_read(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    path = dataset.paths[1]
    rows = [image(number) for number in range(10, 20)]
    pq.write_table(table(*rows), path, row_group_size=3)
    manifest = load(dataset.root)
    for shard in manifest["shards"]:
        del shard["rows"]
    save(dataset.root, manifest)
    longer = reseal(dataset.root)
    reads: list[tuple[int, int]] = []
    read = pq.ParquetFile.read_row_group

    def counting(file: pq.ParquetFile, group: int, **settings: Any) -> Any:
        reads.append((file.metadata.num_rows, group))
        return read(file, group, **settings)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    assert longer[1 + 7]["id"] == "r17"
    assert reads == [(10, 2)]
    reads.clear()
    assert [row["id"] for row in longer[2:8]] == [f"r{number}" for number in range(11, 17)]
    assert reads == [(10, 0), (10, 1), (10, 2)]


def test_a_damaged_shard_is_named(dataset: Dataset) -> None:
    len(dataset)
    path = dataset.paths[0]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DatasetError, match=r"test-00000\.parquet: cannot be read"):
        dataset[0]
    assert dataset[1]["id"] == "r1"


def test_an_empty_set(tmp_path: Path) -> None:
    empty = write(tmp_path / "set", [])
    assert len(empty) == 0 and list(empty) == [] == empty[:]
    with pytest.raises(IndexError):
        empty[0]
    assert "0 records" in repr(empty) and "<table" in empty._repr_html_()


def test_the_line_is_short_and_reads_the_manifest_only(dataset: Dataset) -> None:
    for path in dataset.paths:
        path.unlink()
    assert (
        repr(dataset)
        == str(dataset)
        == (
            f"Dataset 'written': 6 records (train 4, validation 1, test 1) of films; {dataset.root}"
        )
    )


def test_the_line_names_a_few_sources(dataset: Dataset) -> None:
    manifest = load(dataset.root)
    entry = manifest["sources"]["films"]
    manifest["sources"] = {f"source_{number:02}": entry for number in range(30)}
    manifest["name"] = "two\nlines"
    save(dataset.root, manifest)
    line = repr(qoqdata.open(dataset.root))
    assert "\n" not in line and "source_04 and 25 more;" in line and len(line) < 300


def test_notebooks_show_counts_and_images(dataset: Dataset) -> None:
    html = dataset._repr_html_()
    cells = re.findall(r"<tr>(.*?)</tr>", html)
    assert re.findall(r"<td[^>]*>(.*?)</td>", cells[1]) == ["films", "4", "1", "1", "6"]
    (uri,) = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', html)
    with Image.open(BytesIO(base64.b64decode(uri))) as shown:
        assert shown.size == (6, 4)
    assert len(html) < 10_000


def test_notebooks_show_a_question_without_its_options(tmp_path: Path) -> None:
    long = "Which of these " + "very " * 30 + "rare findings?"
    rows = [image(1, question="What is it? Choose exactly one:\nA\nB", answer="B")]
    html = write(tmp_path / "a", rows)._repr_html_()
    assert "<br>What is it? Choose exactly one:<br><b>B</b>" in html
    html = write(tmp_path / "b", [image(1, question=long)])._repr_html_()
    # 15 characters, and 21 words of 5, the last without its space.
    assert f"<br>{long[:119]} ...<br>" in html


def test_thumbnails_are_small(tmp_path: Path) -> None:
    with BytesIO() as stream:
        Image.new("L", (3000, 2000)).save(stream, "PNG")
        content = stream.getvalue()
    html = write(tmp_path / "set", [image(1, images=[{"bytes": content, "path": "a.png"}])])
    (uri,) = re.findall(r'base64,([^"]*)"', html._repr_html_())
    with Image.open(BytesIO(base64.b64decode(uri))) as shown:
        assert shown.size == (128, 85)


def test_notebooks_show_sets_without_images(tmp_path: Path) -> None:
    texts = {"images": None, "image_info": None, "regions": None, "masks": None}
    dataset = write(tmp_path / "set", [image(1, context="Cough.", **texts)])
    html = dataset._repr_html_()
    assert "<img" not in html and "What does it show?" in html


def test_notebooks_take_no_text_for_markup(tmp_path: Path) -> None:
    row = image(1, question=HOSTILE, answer=HOSTILE, id='"><script>')
    dataset = write(tmp_path / "set <b>", [row])
    manifest = load(dataset.root)
    manifest["name"] = HOSTILE
    save(dataset.root, manifest)
    html = qoqdata.open(dataset.root)._repr_html_()
    assert "<script" not in html and "set <b>" not in html and '<img src="x"' not in html
    assert html.count("&lt;script&gt;alert(1)") == 3
    assert len(re.findall("<img", html)) == 1


def test_notebooks_show_what_they_can_of_a_damaged_set(tmp_path: Path) -> None:
    broken = write(tmp_path / "a", [image(1, images=[{"bytes": b"\x89PNG", "path": "a.png"}])])
    assert "<img" not in broken._repr_html_() and "What does it show?" in broken._repr_html_()
    broken.paths[0].write_bytes(b"PAR1")
    assert "<table" in broken._repr_html_() and "<figure" not in broken._repr_html_()


def test_tab_completion_shows_the_public_names(dataset: Dataset) -> None:
    names = dir(dataset)
    assert {"records", "stats", "manifest", "stream", "to_hf", "kept", "root"} <= set(names)
    assert not any(name.startswith("_") for name in names)


def test_of_a_row_group_only_what_is_read_has_to_fit_memory(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dataset.paths[0]
    whole = row_group_memory(path, pq.read_metadata(path), 0, 2**30, enough=0)
    monkeypatch.setattr(integrity, "LARGEST_ROW_GROUP", whole - 1)
    first = items.places_of(dataset.manifest)[:1]
    read = items.read_records(dataset.files, dataset.manifest, first, ["id", "images"])
    assert [row["id"] for row in read] == ORDER[:1]
    with pytest.raises(DatasetError, match=r"takes [0-9,]+ bytes of memory"):
        next(items.read_records(dataset.files, dataset.manifest, first))
