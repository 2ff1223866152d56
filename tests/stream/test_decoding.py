"""Decoded records through the stream are those of the decoder; ECG as arrays; remote as local."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import fsspec
import numpy as np
import pytest

import qoqdata
from qoqdata.dataset import Dataset
from qoqdata.stream.decode import Budget
from tests.records.sound_rows import ecg_row, image_row
from tests.stream.sets import Part, entry, seal, write_rows

GREY = np.repeat(np.tile(np.arange(6, dtype=np.uint8), (4, 1))[..., None], 3, axis=2)


@pytest.mark.parametrize("workers", [0, 3])
def test_images_as_arrays_and_pil(mixed: Dataset, workers: int) -> None:
    asked = {"columns": ["id", "images"], "workers": workers, "epochs": 1, "prefetch": 5}
    order = mixed.stream().order(0, 143)["id"].to_list()
    for images in ("array", "pil"):
        stream = mixed.stream(images=images, **asked)
        records = list(stream)
        assert [record["id"] for record in records] == order
        for record in records:
            (image,) = record["images"]
            assert np.asarray(image).dtype == np.uint8
            assert (np.asarray(image) == GREY).all()
        stream.close()


def test_a_budget_resizes(mixed: Dataset) -> None:
    budget = Budget(min_pixels=64 * 64, max_pixels=128 * 128, multiple=28)
    stream = mixed.stream(columns=["images"], images="array", budget=budget)
    image = next(iter(stream))["images"][0]
    height, width = image.shape[:2]
    assert height % 28 == 0 and width % 28 == 0 and 64 * 64 <= height * width <= 128 * 128
    stream.close()


def test_signals_are_float32_with_a_mask(tmp_path: Path) -> None:
    part = Part("hearts", "ecg", (7,))
    rows = [ecg_row(id=f"e{i}", source="hearts", labels=["A"]) for i in range(7)]
    rows[3] |= {"ecg": None, "context": "A report."}
    shard = write_rows(tmp_path, part, 0, rows, row_group=3)
    dataset = seal(tmp_path, [shard], {"hearts": entry("ecg")})
    for images in ("bytes", "array"):
        stream = dataset.stream(columns=["id", "ecg", "context"], images=images, epochs=1)
        by_id = {record["id"]: record for record in stream}
        assert by_id["e3"]["ecg"] is None and by_id["e3"]["context"] == "A report."
        ecg = by_id["e6"]["ecg"]
        assert ecg["leads"] == ["I", "II"] and ecg["fs"] == 500
        assert ecg["signal"].dtype == np.float32
        assert ecg["signal"].tolist() == [[0.0, 0.5, -0.25], [1.0, 1.5, 0.125]]
        assert ecg["valid"].tolist() == [[True, True, True], [True, False, True]]
        stream.close()


def test_several_images_a_record_and_missing_masks(tmp_path: Path) -> None:
    """Values of list columns are cut out of shared buffers: neighbours must not leak."""
    part = Part("films", "chest_xray", (9,))
    rows = []
    for i in range(9):
        count = i % 3
        images = [{"bytes": bytes([i, n]) * (n + 1), "path": "a"} for n in range(count)]
        masks = [None if n % 2 else {"bytes": bytes([9, i, n]), "path": "m"} for n in range(count)]
        changes = {"images": images or None, "masks": masks if i != 4 else None}
        rows.append(image_row(id=str(i), context="x", image_info=None, regions=None, **changes))
    shard = write_rows(tmp_path, part, 0, rows, row_group=4)
    dataset = seal(tmp_path, [shard], {"films": entry("chest_xray")})
    found = {r["id"]: r for r in dataset.stream(columns=["id", "images", "masks"], epochs=1)}
    for row in rows:
        for name in ("images", "masks"):
            want = row[name] and [item and item["bytes"] for item in row[name]]
            assert found[row["id"]][name] == want


def test_remote_is_local(mixed: Dataset, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.put(str(mixed.root), "/streamed", recursive=True)
    try:
        remote = qoqdata.open("memory://streamed", cache=tmp_path / "cache")
        here = mixed.stream(columns=["id", "images", "answer"], mix="domain")
        there = remote.stream(columns=["id", "images", "answer"], mix="domain")
        assert list(islice(there, 100)) == list(islice(here, 100))
        there.load_state_dict(here.state_dict())
        assert list(islice(there, 100)) == list(islice(here, 100))
        here.close()
        there.close()
    finally:
        memory.rm("/streamed", recursive=True)
