"""Inventories as S3 writes them, by hand after its documentation."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from qoqdata.errors import BadTable
from qoqdata.sources.raw_inventory import Entry, read_inventory

CSV = (
    '"lab","raw/a%20b/1.dcm","12","2026-01-02T03:04:05.000Z","0f","true","false"\n'
    '"lab","raw/a%20b/1.dcm","11","2025-01-02T03:04:05.000Z","0e","false","false"\n'
    '"lab","raw/%C3%A4%2B+1.dcm","0","2026-01-02T03:04:05.000Z","0a","true","false"\n'
    '"lab","raw/gone.dcm","","2026-01-02T03:04:05.000Z","","true","true"\n'
    '"lab","raw/a%20b/","0","2026-01-02T03:04:05.000Z","0b","true","false"\n'
    '"lab","rawer/2.dcm","5","2026-01-02T03:04:05.000Z","0c","true","false"\n'
    '"other","raw/3.dcm","5","2026-01-02T03:04:05.000Z","0d","true","false"\n'
)
SCHEMA = "Bucket, Key, Size, LastModifiedDate, ETag, IsLatest, IsDeleteMarker"


def write(folder: Path, kind: str, schema: str, *names: str) -> Path:
    files = [{"key": f"inv/lab/all/data/{name}", "size": 1} for name in names]
    content = {"sourceBucket": "lab", "fileFormat": kind, "fileSchema": schema, "files": files}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("place", [".", "data", "../data"])
def test_csv(tmp_path: Path, place: str) -> None:
    """Keys are spelled as in URLs; of versions the latest counts."""
    path = write(tmp_path / "2026-01-03", "CSV", SCHEMA, "1.csv.gz")
    (path.parent / place).mkdir(exist_ok=True)
    with gzip.open(path.parent / place / "1.csv.gz", "wt") as stream:
        stream.write(CSV)
    modified = "2026-01-02T03:04:05.000Z"
    assert list(read_inventory(path, "s3://lab/raw")) == [
        Entry("a b/1.dcm", 12, "0f", modified),
        Entry("ä+ 1.dcm", 0, "0a", modified),
    ]
    whole = list(read_inventory(path, "s3://lab/"))
    assert [one.path for one in whole] == ["raw/a b/1.dcm", "raw/ä+ 1.dcm", "rawer/2.dcm"]
    with pytest.raises(BadTable, match="lists nothing below s3://lab/ra"):
        list(read_inventory(path, "s3://lab/ra"))


def test_parquet(tmp_path: Path) -> None:
    """In several files, whose keys are as they are; without versions."""
    path = write(tmp_path, "Parquet", "message s3.inventory { ... }", "1.parquet", "2.parquet")
    for number in (1, 2):
        columns = {
            "bucket": ["lab"],
            "key": [f"raw/a%20{number}"],
            "size": [number],
            "last_modified_date": [datetime(2026, 1, number, tzinfo=UTC)],
        }
        pl.DataFrame(columns).write_parquet(tmp_path / f"{number}.parquet")
    found = list(read_inventory(path, "s3://lab/raw"))
    assert [(one.path, one.size, one.tag) for one in found] == [
        ("a%201", 1, None),
        ("a%202", 2, None),
    ]
    assert len({one.modified for one in found}) == 2
    (tmp_path / "2.parquet").unlink()
    with pytest.raises(BadTable, match=r"names 2\.parquet, which is not there"):
        list(read_inventory(path, "s3://lab/raw"))


@pytest.mark.parametrize(
    ("kind", "schema", "what"),
    [
        ("ORC", "x", "inventory as ORC"),
        ("CSV", "Bucket, Key", "cannot be read"),
        ("CSV", "", "cannot be read"),
    ],
)
def test_what_is_none(tmp_path: Path, kind: str, schema: str, what: str) -> None:
    path = write(tmp_path, kind, schema, "1.csv")
    (tmp_path / "1.csv").write_text("lab,raw/a\n")
    with pytest.raises(BadTable, match=what):
        list(read_inventory(path, "s3://lab/raw"))


@pytest.mark.parametrize("content", ["{}", "[1]", "no", '{"files": 3}'])
def test_no_manifest(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(BadTable, match="is no manifest"):
        list(read_inventory(tmp_path / "manifest.json", "s3://lab/raw"))
