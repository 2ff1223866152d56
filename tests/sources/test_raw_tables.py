"""Tables note the identifiers in their columns, and nothing else of them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from qoqdata.errors import BadTable
from qoqdata.readers.identifiers import taking_identifiers
from qoqdata.sources.rawtree import open_raw

HEAD = "patient_id,MRN,study_id,Patient Age,ViewPosition,file_path,notes,hadm_id"
ROW = "p1,m1,s1,70,PA,a/b.png,nothing,h1"


def test_columns_of_identifiers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"{HEAD}\n{ROW}\n,,,,,,,\n")
    with taking_identifiers() as taken:
        open_raw(tmp_path).csv("t.csv")
    assert taken.persons == {"p1", "m1", "h1"}
    assert taken.objects == {"s1", "a/b.png"}


def test_keys_that_are_numbers_in_parquet(tmp_path: Path) -> None:
    import polars as pl

    table = pl.DataFrame({"subject_id": [7, None], "age": [1, 2]})
    table.write_parquet(tmp_path / "t.parquet")
    with taking_identifiers() as taken:
        open_raw(tmp_path).parquet("t.parquet", columns=["subject_id", "age"])
    assert taken.persons == {"7"} and taken.objects == set()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_told_as_such(tmp_path: Path, codec: str, packed: bool) -> None:
    """It was told as a table that lacks its first column, whose name was shown with gaps."""
    mark = "" if codec == "utf-16" else "\ufeff"
    data = f"{mark}{HEAD}\n{ROW}\n".encode(codec)
    (tmp_path / "t.csv").write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(BadTable, match=r"t\.csv: is UTF-16\. Fix: convert the table to UTF-8"):
        open_raw(tmp_path).csv("t.csv", columns=["patient_id"])
