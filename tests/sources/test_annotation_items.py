"""Rows that are questions about one file, and answers that are no labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qoqdata.sources.annotation_table import units
from qoqdata.sources.protocol import Filtered, Refused, Unit
from tests.sources.user_tables import read

# Several questions about one file.

ITEMS = {"labels": "finding", "item": "qid"}


def test_items_are_questions_of_one_unit(tmp_path: Path) -> None:
    table = "file,qid,finding\na,left,mass\nb,left,node\na,right,node\na,both,\n"
    found = read(tmp_path, table, ITEMS)
    planned = list(units(found, {"a": ("a",), "b": ("b",)}, table="t"))
    unit_a = next(item for item in planned if isinstance(item, Unit) and item.key == "a")
    assert [(q["item"], q["labels"]) for q in unit_a.facts["questions"]] == [
        ("left", ("mass",)),
        ("right", ("node",)),
    ]
    assert [(item.key, item.reason) for item in planned if isinstance(item, Filtered)] == [
        ("a, item both", "no_label")
    ]
    assert len(planned) == 3


def test_a_row_at_fault_leaves_the_other_items(tmp_path: Path) -> None:
    table = "file,qid,finding,set\na,1,mass,\na,2,mass,\na,2,node,\na,3,node,dev\na,,node,\n"
    found = read(tmp_path, table, ITEMS | {"split": "set"})
    assert [row.item for row in found.rows["a"]] == ["1"]
    assert [(item.key, item.error.code) for item in found.refused] == [
        ("a, item 2", "duplicate_key"),
        ("a, item 2", "duplicate_key"),
        ("a, item 3", "bad_table"),
        ("a", "missing_key"),
    ]


def test_a_file_whose_rows_are_all_at_fault_has_rows(tmp_path: Path) -> None:
    found = read(tmp_path, "file,qid,finding\na,1,mass\na,1,mass\nb,1,mass\n", ITEMS)
    planned = list(units(found, {"a": ("a",), "b": ("b",)}, table="t"))
    codes = [item.error.code for item in planned if isinstance(item, Refused)]
    assert codes == ["duplicate_key", "duplicate_key"]


def test_a_file_that_is_not_there_is_refused_once(tmp_path: Path) -> None:
    found = read(tmp_path, "file,qid,finding\na,1,mass\na,2,mass\n", ITEMS)
    (refused,) = units(found, {}, table="t")
    assert isinstance(refused, Refused) and refused.error.code == "missing_file"


@pytest.mark.parametrize("name", ["patient", "group", "split", "age", "sex"])
def test_rows_of_one_key_agree_about_what_they_share(tmp_path: Path, name: str) -> None:
    cells = {"patient": "P1,P2", "group": "P1,P2", "split": "train,test", "age": "60,61"}
    one, other = cells.get(name, "F,M").split(",")
    table = f"file,qid,finding,x\na,1,mass,{one}\na,2,mass,{other}\nb,1,mass,{one}\n"
    found = read(tmp_path, table, ITEMS | {name: "x"})
    assert list(found.rows) == ["b"]
    (refused,) = found.refused
    assert refused.key == "a" and f"disagree about {name}" in str(refused.error)


# Answers that are no labels.


def other_kind(tmp_path: Path, rows: str, columns: dict[str, Any], **changes: Any) -> Any:
    return read(tmp_path, rows, columns, labels={}, **changes)


def test_numbers(tmp_path: Path) -> None:
    table = "file,width,of\na,12.50,mm\nb,,mm\nc,1.2,cm\nd,wide,mm\ne,-99,mm\nf,1,\n"
    columns = {"answer": "width", "unit": "of"}
    found = other_kind(
        tmp_path, table, columns, kind="number", number={"unit": "mm", "tolerance": 1}
    )
    assert {key: (row.answer, row.answers) for key, (row,) in found.rows.items()} == {
        "a": (12.5, True),
        "b": (None, False),
        "e": (None, False),
    }
    said = {item.key: str(item.error) for item in found.refused}
    assert "row 4: 1.2 is in cm, and the mapping's unit is mm. Fix: convert" in said["c"]
    assert "'wide' in the column width is no number" in said["d"]
    assert "1 is in no unit" in said["f"]


@pytest.mark.parametrize(
    ("cells", "options", "answer"),
    [
        ("left,right,left", ("left", "right"), "left"),
        ("left,right,B", ("left", "right"), "right"),
        ('"lobe, left",lobe & hilum,A', ("lobe, left", "lobe & hilum"), "lobe, left"),
        ("None,unknown,None", ("None", "unknown"), "None"),
    ],
)
def test_options_of_a_row(
    tmp_path: Path, cells: str, options: tuple[str, ...], answer: str
) -> None:
    columns = {"options": ["A", "B"], "answer": "key"}
    found = other_kind(tmp_path, f"file,A,B,key\na,{cells}\n", columns, kind="choice")
    (row,) = found.rows["a"]
    assert (row.options, row.answer, row.answers) == (options, answer, True)


def test_options_in_one_column(tmp_path: Path) -> None:
    columns = {"options": "all", "answer": "key", "option_separator": ";"}
    table = 'file,all,key\na,"left; right, upper ;","right, upper"\n'
    (row,) = other_kind(tmp_path, table, columns, kind="choice").rows["a"]
    assert (row.options, row.answer) == (("left", "right, upper"), "right, upper")


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("left,right,C", "'C' is none of"),
        ("left,,A", "two options or more"),
        ("left,left,A", "options repeat"),
        ("B,left,B", "names the column of another, 'left'"),
        ("left,right,Left", "'Left' is none of"),
    ],
)
def test_choices_at_fault(tmp_path: Path, cells: str, said: str) -> None:
    columns = {"options": ["A", "B"], "answer": "key"}
    table = f"file,A,B,key\na,{cells}\nb,left,right,A\n"
    found = other_kind(tmp_path, table, columns, kind="choice")
    assert list(found.rows) == ["b"]
    assert said in str(found.refused[0].error)


def test_free_text_and_own_questions(tmp_path: Path) -> None:
    table = "file,ask,text\na,Where?, Left. \nb,,None\nc,Who?,\n"
    columns = {"question": "ask", "answer": "text"}
    rows = other_kind(tmp_path, table, columns, kind="open").rows
    assert [(row.question, row.answer, row.answers) for (row,) in rows.values()] == [
        ("Where?", "Left.", True),
        (None, "None", True),
        ("Who?", None, False),
    ]
