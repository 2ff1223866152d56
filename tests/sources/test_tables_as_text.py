"""Delimited tables and workbooks: every spelling of one table, cells as text, faults by name."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qoqdata.errors import BadTable, MissingFile
from qoqdata.simulation import write_xlsx
from qoqdata.sources.rawtree import RawTree, open_raw


@pytest.fixture
def raw(tmp_path: Path) -> RawTree:
    return open_raw(tmp_path)


@pytest.fixture
def table(raw: RawTree) -> Callable[..., list[dict]]:
    """Write a table and read it."""

    def read(content: bytes, *columns: str, **options: object) -> list[dict]:
        (raw.root / "t.csv").write_bytes(content)
        return raw.csv("t.csv", columns=columns, **options).to_dicts()  # type: ignore[arg-type]

    return read


Read = Callable[..., list[dict]]
ROWS = [{"a": "1", "b": "x"}, {"a": "02", "b": None}]


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,x\n02,\n",
        b"a,b\r\n1,x\r\n02,\r\n",
        b"a,b\n1,x\n02,",
        b"\xef\xbb\xbfa,b\n1,x\n02,\n",
        b'\xef\xbb\xbf"a","b"\n"1","x"\n"02",""\n',
        b" a , b\t\n1,x\n02,\n",
        b"\xef\xbb\xbf a,b\n1,x\n02,\n",
        gzip.compress(b"a,b\n1,x\n02,\n"),
    ],
    ids=["plain", "CRLF", "no end", "BOM", "BOM, quotes", "blanks", "BOM, blank", "gzip"],
)
def test_spellings_of_one_table(table: Read, content: bytes) -> None:
    assert table(content, "a", "b") == ROWS


def test_cells_stay_text(table: Read) -> None:
    content = b"a,b\n007,1e3\ntrue,2020-01-01\n NA , x \n"
    assert [tuple(row.values()) for row in table(content)] == [
        ("007", "1e3"),
        ("true", "2020-01-01"),
        (" NA ", " x "),
    ]


def test_separators_and_quotes(table: Read) -> None:
    assert table(b"a\tb\n1\tx\n02\t\n", "a", separator="\t") == ROWS
    assert table(b"a;b\n1;x\n02;\n", "a", separator=";") == ROWS
    assert table(b'a,b\n"1,2","x\ny ""z"""\n') == [{"a": "1,2", "b": 'x\ny "z"'}]


def test_utf8(table: Read) -> None:
    assert table("a,b\nMüller,µV\n".encode(), "a", "b") == [{"a": "Müller", "b": "µV"}]


def test_a_short_row_has_nulls(table: Read) -> None:
    assert table(b"a,b\n1\n2,3\n") == [{"a": "1", "b": None}, {"a": "2", "b": "3"}]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_short_row_may_be_a_fault(table: Read, pack: Callable[[bytes], bytes]) -> None:
    """A line break that nobody quoted makes two of one row, and the first would lose its end."""
    with pytest.raises(BadTable, match=r"t.csv, line 2: has 2 cells, and the table 3 columns"):
        table(pack(b"a,b,c\n1,the heart\nis normal,y\n"), full=True)
    with pytest.raises(BadTable, match=r"t.csv, line 5: has 1 cells"):
        table(pack(b'a,b\n1,"x\ny"\n\n2\n3,\n'), full=True)
    assert table(pack(b"a,b\n" + b"1" * 200_000 + b",\n"), full=True)[0]["b"] is None
    whole = pack(b'a,b\r\n1,"x\r\n,"\r\n2,\r\n\r\n')
    assert table(whole, full=True)[:2] == [{"a": "1", "b": "x\r\n,"}, {"a": "2", "b": None}]


FAULTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "BOM alone": (b"\xef\xbb\xbf", "is empty"),
    "a line break": (b"\n", "is empty"),
    "no rows": (b"a,b\n", "has no rows"),
    "a column missing": (b"b\n1\n", "lacks the column 'a'"),
    "another case": (b"A\n1\n", "lacks the column 'a'"),
    "column twice": (b"a,b,a\n1,2,3\n", "'a' occurs twice"),
    "column twice but for blanks": (b"a,b, a\n1,2,3\n", "duplicate"),
    "long row": (b"a,b\n1,2,3\n", "cannot be parsed"),
    "open quote": (b'a,b\n"1,2\n3,4\n', "cannot be parsed"),
    "all bytes": (bytes(range(256)) * 8, "cannot be parsed"),
    "UTF-16": ("a,b\nx,y\n".encode("utf-16"), "is UTF-16"),
    "Latin-1": ("a,b\nx,y\nMüller,y\n".encode("latin-1"), "row 3, column a: is not UTF-8"),
    "cut gzip": (gzip.compress(os.urandom(4000))[:2000], "cannot be parsed"),
    "gzip of nothing": (gzip.compress(b""), "is empty"),
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "lacks the column 'a'"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults(table: Read, name: str) -> None:
    content, said = FAULTS[name]
    with pytest.raises(BadTable, match=said) as raised:
        table(content, "a")
    assert str(raised.value).startswith("t.csv")


def test_no_rows_may_be_fine(table: Read, raw: RawTree) -> None:
    assert table(b"a,b\n", "a", empty=True) == []
    assert raw.csv("t.csv", empty=True).columns == ["a", "b"]


def test_other_columns_may_be_latin_1(table: Read) -> None:
    """Only the columns that are asked for enter records."""
    found = table("a,b\nx,Müller\n".encode("latin-1"), "a")
    assert found[0]["a"] == "x"


def test_a_missing_column_lists_those_there(table: Read) -> None:
    with pytest.raises(BadTable, match="it has: b, c"):
        table(b"b,c\n1,2\n", "a")


def test_the_name_is_no_pattern(raw: RawTree) -> None:
    for name, cell in (("t1.csv", "one"), ("t*.csv", "star"), ("t[1].csv", "bracket")):
        (raw.root / name).write_text(f"a\n{cell}\n")
    assert raw.csv("t*.csv")["a"].to_list() == ["star"]
    assert raw.csv("t[1].csv")["a"].to_list() == ["bracket"]
    (raw.root / "folder.csv").mkdir()
    (raw.root / "folder.csv" / "x.csv").write_text("a\n1\n")
    with pytest.raises(BadTable, match="folder"):
        raw.csv("folder.csv")
    with pytest.raises(MissingFile):
        raw.csv("?1.csv")


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_any_bytes_are_a_table_or_an_error_of_ours(raw: RawTree, content: bytes) -> None:
    (raw.root / "fuzz.csv").write_bytes(content)
    try:
        found = raw.csv("fuzz.csv")
    except BadTable:
        return
    assert all(str(kind) == "String" for kind in found.dtypes)


# Workbooks.


def test_a_sheet_is_text(tmp_path: Path) -> None:
    """Numbers in their shortest form, absent cells null, rows without a cell left out."""
    pytest.importorskip("fastexcel")
    rows = [
        {"ID": "D1-0001", " Age ": 57, "note": "a < b & c"},
        {"ID": None, " Age ": None, "note": None},
        {"ID": "0017", " Age ": 3.5, "note": ""},
    ]
    write_xlsx(tmp_path / "book.xlsx", rows)
    table = open_raw(tmp_path).sheet("book.xlsx", columns=["ID", "Age"])
    assert table.rows() == [("D1-0001", "57", "a < b & c"), ("0017", "3.5", None)]


@pytest.mark.parametrize("part", [0, 0.5, 0.95])
def test_a_damaged_workbook_is_a_bad_table(tmp_path: Path, part: float) -> None:
    """Emptied or cut short, it has no directory of its parts."""
    pytest.importorskip("fastexcel")
    path = tmp_path / "book.xlsx"
    write_xlsx(path, [{"ID": "a"}])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(BadTable, match="cannot be parsed"):
        open_raw(tmp_path).sheet("book.xlsx", columns=["ID"])


def test_a_sheet_without_its_column_or_rows_is_refused(tmp_path: Path) -> None:
    """As a delimited table is."""
    pytest.importorskip("fastexcel")
    write_xlsx(tmp_path / "book.xlsx", [{"ID": "a"}])
    write_xlsx(tmp_path / "empty.xlsx", [], columns=["ID"])
    with pytest.raises(BadTable, match="lacks the column 'Age'"):
        open_raw(tmp_path).sheet("book.xlsx", columns=["Age"])
    with pytest.raises(BadTable, match="no rows"):
        open_raw(tmp_path).sheet("empty.xlsx", columns=["ID"])
