"""A user's own volumes with masks, built: what a mapping says about channels, gaps and codes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from PIL import Image

import qoqdata
from qoqdata.errors import UsageError
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.records.identity import Salt
from qoqdata.sources import catalogue
from tests.readers.container_files import write_zip

AFFINE = np.diag([-0.8, -0.8, 3.0, 1.0])
SHAPE = (12, 10, 4)
MAPPING: dict[str, Any] = {
    "slug": "volumes", "name": "Volumes", "domain": "ct", "question": "Which structures?",
    "kind": "multi", "task": "structures", "options": ["Liver", "Tumour"],
    "mask_codes": {1: "Liver", 2: "Tumour"}, "image": "images/{key}.nii.gz",
    "mask": "labels/{key}.nii.gz", "policy": "all", "window": [0, 200], "storage": "native",
}  # fmt: skip


def drawn() -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:6, 3:7, :] = 1
    mask[7:9, 3:5, 1] = 2
    return mask


#: Levels; a value half way between two is rounded from float32 there, from float64 here.
TIE = 1


def grey() -> np.ndarray:
    return np.random.default_rng(2).integers(-100, 100, SHAPE).astype(np.int16)


def put(path: Path, array: np.ndarray, dtype: type | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, AFFINE)
    if dtype is not None:
        image.set_data_dtype(dtype)
    image.to_filename(path)
    return path


def built(raw: Path, **mapping: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """Records of a build of the raw folder, and messages of its quarantine."""
    request = SourceRequest(source="nifti_pairs", raw=raw, mapping=MAPPING | mapping)
    out = raw.parent / f"set{len(list(raw.parent.iterdir()))}"
    build(BuildConfig(sources=(request,)), out, BuildSetting(Salt(b"s" * 32), workers=0))
    dataset = qoqdata.open(out)
    rows = [row for path in dataset.paths for row in pq.read_table(path).to_pylist()]
    quarantine = dataset.layout.quarantine("volumes")
    left_out = pl.read_parquet(quarantine)["message"].to_list() if quarantine.exists() else []
    return rows, left_out


def pixels(record: dict[str, Any], column: str = "images") -> list[np.ndarray]:
    return [np.array(Image.open(io.BytesIO(one["bytes"]))) for one in record[column]]


def shown(array: np.ndarray, index: int) -> np.ndarray:
    """An axial slice: rows to posterior, columns to the patient's left, as the affine has them."""
    return array[:, :, index].T


def windowed(array: np.ndarray) -> np.ndarray:
    return np.floor((array.astype(float).clip(-100, 100) + 100) * 255 / 200 + 0.5)


def test_labels_saved_as_scaled_integers(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put(raw / "images/a.nii.gz", grey())
    put(raw / "labels/a.nii.gz", drawn().astype(np.float64) * 15, np.int16)
    codes = {15: "Liver", 30: "Tumour"}
    ((record,), left_out) = built(raw, mask_codes=codes)
    assert (record["labels"], left_out) == (["Liver", "Tumour"], [])
    for index, mask in enumerate(pixels(record, "masks")):
        np.testing.assert_array_equal(mask, shown(drawn() * 15, index))


def test_a_channel_of_images_and_one_of_masks(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    contrasts = np.stack([grey()[::-1], grey(), -grey()], axis=-1)
    put(raw / "images/a.nii.gz", contrasts)
    put(raw / "labels/a.nii.gz", np.stack([drawn() * 0, drawn()], axis=-1))
    rows, (message,) = built(raw)
    assert not rows and "images/a.nii.gz: holds 3 volumes" in message and "`channel: 0`" in message
    rows, (message,) = built(raw, channel=1)
    assert not rows and "labels/a.nii.gz: holds 2 volumes" in message and "mask_channel" in message
    ((record,), left_out) = built(raw, channel=1, mask_channel=1)
    assert not left_out
    for index, image in enumerate(pixels(record)):
        np.testing.assert_allclose(image, windowed(shown(grey(), index)), atol=TIE)
    assert record["labels"] == ["Liver", "Tumour"]
    notes = record["provenance"]["notes"]
    assert "channel 1 of 3 taken (counted from 0)" in notes
    assert "mask: channel 1 of 2 taken (counted from 0)" in notes


def test_gaps_need_a_value(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    brain = drawn() > 0
    put(raw / "images/a.nii.gz", np.where(brain, grey(), np.nan).astype(np.float32))
    put(raw / "labels/a.nii.gz", np.where(brain, drawn(), np.nan).astype(np.float32))
    rows, (message,) = built(raw)
    assert not rows and "labels/a.nii.gz" in message and "`mask_nonfinite: 0`" in message
    rows, (message,) = built(raw, mask_nonfinite=0)
    assert not rows and message.startswith("images/a.nii.gz: ") and "NaN" in message
    assert "`nonfinite: background`" in message
    lowest = grey()[brain].min()
    for nonfinite, value in (("background", lowest), (-50, -50)):
        ((record,), left_out) = built(raw, mask_nonfinite=0, nonfinite=nonfinite)
        assert not left_out
        for index, image in enumerate(pixels(record)):
            filled = np.where(brain, grey(), value)
            np.testing.assert_allclose(image, windowed(shown(filled, index)), atol=TIE)
        np.testing.assert_array_equal(pixels(record, "masks")[1], shown(drawn(), 1))
        assert any(f"NaN voxels of 480: {value} taken" in n for n in record["provenance"]["notes"])


def test_an_empty_mask_and_slices_beside_the_structure(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    last = drawn()
    last[:, :, :3] = 0
    for key, mask in (("a", drawn() * 0), ("b", last)):
        put(raw / f"images/{key}.nii.gz", grey())
        put(raw / f"labels/{key}.nii.gz", mask)
    rows, messages = built(raw, policy="uniform", slices=1)
    assert not rows
    assert "a.nii.gz: the mask is empty" in messages[0]
    assert "b.nii.gz: the chosen slices show no structure" in messages[1]
    assert "`policy: mask`" in messages[1]
    rows, _ = built(raw, policy="mask", slices=1)
    assert [row["labels"] for row in rows] == [["Liver"]]


@pytest.mark.parametrize(
    ("image", "mask"),
    [("{key}.nii.gz", "{key}_seg.nii.gz"), ("{key}_ct.nii.gz", "{key}.nii.gz")],
)
def test_patterns_of_one_folder(tmp_path: Path, image: str, mask: str) -> None:
    """One of the patterns matches both files of a case, which is one case, and no second one."""
    raw = tmp_path / "raw"
    for key in ("a", "b"):
        put(raw / image.format(key=key), grey())
        put(raw / mask.format(key=key), drawn())
    put(raw / image.format(key="c"), grey())
    rows, (message,) = built(raw, image=image, mask=mask)
    assert len(rows) == 2
    assert (
        "c.nii.gz: has no mask" if image == "{key}.nii.gz" else "c_ct.nii.gz: has no"
    ) in message
    for row in rows:
        np.testing.assert_array_equal(pixels(row, "masks")[1], shown(drawn(), 1))


def test_pairs_in_archives(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    image = put(tmp_path / "a.nii.gz", grey()).read_bytes()
    mask = put(tmp_path / "m.nii.gz", drawn()).read_bytes()
    write_zip(raw / "images.zip", {"in/a.nii.gz": image, "in/b.nii.gz": image[:-40]})
    write_zip(raw / "labels.zip", {"a.nii.gz": mask, "b.nii.gz": mask})
    patterns = {"image": "images.zip#in/{key}.nii.gz", "mask": "labels.zip#{key}.nii.gz"}
    ((record,), (message,)) = built(raw, **patterns)
    np.testing.assert_array_equal(pixels(record, "masks")[1], shown(drawn(), 1))
    assert "images.zip#in/b.nii.gz" in message


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nonfinite": float("nan")}, "nonfinite"),
        ({"nonfinite": "zero"}, "nonfinite"),
        ({"channel": -1}, "channel"),
        ({"mask_nonfinite": 70_000}, "mask_nonfinite"),
        ({"mask": "images/{key}.nii.gz"}, "same files"),
    ],
)
def test_settings_that_are_none(changes: dict[str, Any], told: str) -> None:
    source = catalogue.find_source("nifti_pairs")
    assert source.configure is not None
    with pytest.raises(UsageError, match=told):
        source.configure(source.card, MAPPING | changes)
