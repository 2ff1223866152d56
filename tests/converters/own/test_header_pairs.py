"""Volumes whose data lie beside their header: no volumes of their own, and part of the digest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
from blake3 import blake3

import qoqdata
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.suite.examples import SALT

HEADER = (
    "ObjectType = Image\nNDims = 3\nDimSize = 4 4 2\nElementSpacing = 1 1 1\n"
    "ElementType = MET_UCHAR\nElementDataFile = {}.raw\n"
)
MAPPING: dict[str, Any] = {
    "slug": "scans",
    "name": "Scans",
    "domain": "ct",
    "question": "What?",
    "labels": {"x": "X"},
    "image": "v/{key}",
    "table": {"file": "t.csv", "key": "scan", "labels": "label"},
}


def built(folder: Path) -> Any:
    request = SourceRequest(source="nifti_pairs", raw=folder / "raw", mapping=MAPPING)
    build(BuildConfig(sources=(request,)), folder / "set", BuildSetting(SALT, workers=0))
    dataset = qoqdata.open(folder / "set")
    return [row for path in dataset.paths for row in pq.read_table(path).to_pylist()]


def test_data_files_are_no_orphans_and_a_change_of_them_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "v"
    folder.mkdir(parents=True)
    (folder / "a.mhd").write_text(HEADER.format("a"))
    (folder / "a.raw").write_bytes(bytes(range(32)))
    (tmp_path / "raw" / "t.csv").write_text("scan,label\na.mhd,x\n")
    (first,) = built(tmp_path)
    assert not (tmp_path / "set" / "quarantine" / "scans.parquet").exists()
    parts = b"".join(blake3((folder / name).read_bytes()).digest() for name in ("a.mhd", "a.raw"))
    assert first["provenance"]["digest"] == blake3(parts).hexdigest()
    (folder / "a.raw").write_bytes(bytes(range(100, 132)))
    (second,) = built(tmp_path)
    assert second["provenance"]["digest"] != first["provenance"]["digest"]


def test_data_without_a_header_still_has_its_row(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "v"
    folder.mkdir(parents=True)
    (folder / "a.mhd").write_text(HEADER.format("a"))
    for name in ("a.raw", "lost.raw"):
        (folder / name).write_bytes(bytes(32))
    (tmp_path / "raw" / "t.csv").write_text("scan,label\na.mhd,x\n")
    assert len(built(tmp_path)) == 1
    rows = pl.read_parquet(tmp_path / "set" / "quarantine" / "scans.parquet")
    assert rows["raw"].to_list() == [["v/lost.raw"]]
