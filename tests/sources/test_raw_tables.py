"""Tables note the identifiers in their columns, and nothing else of them."""

from __future__ import annotations

from pathlib import Path

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
