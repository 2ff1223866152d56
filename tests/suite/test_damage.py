"""Tables as the suite finds and damages them, in every format, and the choice of cases."""

from __future__ import annotations

import gzip
import json
from io import BytesIO

import polars as pl
import pytest

from qoqdata.suite.damage import Damage, media_damages, spread, table_damages
from qoqdata.suite.tables import read_tables

CSV = b'id,a,b\n1,0,1\n2,"x,y",1\n3,0,0\n'
JSON = json.dumps([{"id": 1, "a": 2}, {"id": 2}]).encode()
COCO = json.dumps({"info": {"n": 1}, "images": [{"id": 1}, {"id": 2}], "by": {"k": {"v": 3}}})


def damages(path: str, data: bytes, labels: frozenset[str] = frozenset()) -> dict[str, bytes]:
    found = table_damages({path: data}, labels)
    assert all(damage.path == path for damage in found)
    return {damage.what: damage.data for damage in found if damage.data is not None}


def test_rows_and_columns_of_a_csv() -> None:
    found = damages("t.csv", CSV, frozenset("ab"))
    assert found == {
        "emptied": b"",
        "cut in half": CSV[: len(CSV) // 2],
        "the second half of the rows lost": b'id,a,b\n1,0,1\n2,"x,y",1\n',
        "the first half of the rows lost": b"id,a,b\n3,0,0\n",
        "every row lost": b"id,a,b\n",
        "row 1 lost": b'id,a,b\n2,"x,y",1\n3,0,0\n',
        "row 2 lost": b"id,a,b\n1,0,1\n3,0,0\n",
        "row 3 lost": b'id,a,b\n1,0,1\n2,"x,y",1\n',
        "its columns in reverse order": b'b,a,id\n1,0,1\n1,"x,y",2\n0,0,3\n',
        "the names of the columns a and b swapped": b'id,a,b\n1,1,0\n2,1,"x,y"\n3,0,0\n',
        "the column id lost": b'a,b\n0,1\n"x,y",1\n0,0\n',
        "the column a lost": b"id,b\n1,1\n2,1\n3,0\n",
        "the column b lost": b'id,a\n1,0\n2,"x,y"\n3,0\n',
    }


def test_other_separators_and_packed_tables() -> None:
    text = b"id\ta\n1\t2\n3\t4\n"
    for path in ("t.tsv", "t.tab", "t.txt", "table"):
        assert damages(path, text)["row 1 lost"] == b"id\ta\n3\t4\n"
    assert damages("t.csv", b"id;a\n1;2,5\n3;4\n")["row 1 lost"] == b"id;a\n3;4\n"
    packed = damages("t.csv.gz", gzip.compress(CSV))["row 2 lost"]
    assert gzip.decompress(packed) == b"id,a,b\n1,0,1\n3,0,0\n"


def test_json() -> None:
    found = damages("t.json", JSON)
    assert json.loads(found["row 1 lost"]) == [{"id": 2}]
    assert json.loads(found["the column a lost"]) == [{"id": 1}, {"id": 2}]
    assert "its columns in reverse order" not in found
    found = damages("t.json", COCO.encode())
    assert json.loads(found["row 2 of images lost"]) == {
        "info": {"n": 1}, "images": [{"id": 1}], "by": {"k": {"v": 3}}
    }  # fmt: skip
    assert json.loads(found["every row of by lost"])["by"] == {}
    lines = damages("t.jsonl", b'{"a": 1}\n{"a": 2}\n')
    assert lines["row 1 lost"] == b'{"a": 2}\n'


def test_parquet() -> None:
    stream = BytesIO()
    frame = pl.DataFrame({"id": [1, 2], "image": [b"x", b"y"]})
    frame.write_parquet(stream)
    found = damages("t.parquet", stream.getvalue())
    assert pl.read_parquet(BytesIO(found["row 1 lost"])).equals(frame[1:])
    assert pl.read_parquet(BytesIO(found["the column id lost"])).equals(frame.select("image"))


@pytest.mark.parametrize(
    ("files", "tables"),
    [
        ({"a.png": b"\x89PNG\xff", "a.json": JSON}, []),  # of that image
        ({"a.png": b"\xff", "b.json": JSON}, ["b.json"]),
        ({"a.txt": b"The heart, which is large,\nis fine.\n", "a.dcm": b"\xff"}, []),
        ({"train.txt": b"a.png 0\nb.png 1\n", "a.png": b"\xff", "b.png": b"\xff"}, ["train.txt"]),
        ({"readme.txt": b"Some words\nof the author\n", "a.png": b"\xff"}, []),
        ({"r.hea": b"r 2 500 9\nr.dat 16 1000/mV\n", "r.dat": b"\xff"}, []),
        ({"broken.json": b"{", "wrong.csv.gz": b"no gzip"}, []),
    ],
)
def test_what_is_a_table(files: dict[str, bytes], tables: list[str]) -> None:
    assert [path for path, data in files.items() if read_tables(path, data, files)] == tables


def test_columns_of_one_name_are_told_apart() -> None:
    found = table_damages({"t.csv": b"a,a\n1,2\n"}, frozenset())
    columns = [damage.data for damage in found if damage.kind == "column"]
    assert columns == [b"a\n2\n", b"a\n1\n"]


def test_tables_take_turns_and_what_loses_most_comes_first() -> None:
    found = table_damages({"t.csv": CSV, "u.csv": CSV}, frozenset())
    assert [str(damage) for damage in found[:4]] == [
        "t.csv, lost", "u.csv, lost", "t.csv, emptied", "u.csv, emptied"
    ]  # fmt: skip


def test_a_bounded_number_of_cases() -> None:
    cases = [Damage("t.csv", str(number), "rows", b"") for number in range(20)]
    assert spread(cases, 20) == cases == spread(cases, 50)
    some = [int(damage.what) for damage in spread(cases, 8)]
    assert some == [0, 1, 2, 3, 4, 8, 12, 16]


def test_a_few_media_of_every_kind() -> None:
    files = {f"{number}.png": b"ab" for number in range(9)} | {"x.dcm": b"cd", "t.csv": CSV}
    found = media_damages(files, 4)
    paths = list(dict.fromkeys(damage.path for damage in found))
    assert len(found) == 12 and len(paths) == 4 and {"x.dcm", "0.png"} <= set(paths)
    assert {damage.data for damage in found if damage.path == "x.dcm"} == {None, b"", b"c"}
    # Another file leaves the choice as it is.
    assert media_damages(files | {"t2.csv": CSV}, 4) == found
