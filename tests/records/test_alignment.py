"""Foreign tables come into the contract's types unharmed, or the column at fault is named."""

from __future__ import annotations

from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.record import RECORD
from qoqdata.contract.side_tables import DIFFICULTY
from qoqdata.errors import RecordError
from qoqdata.records.alignment import align
from tests.records.sound_rows import ecg_row, image_row, table

SECOND = image_row(id="second", age=20)


def replaced(name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Two sound rows with one column replaced."""
    given = table(image_row(), SECOND)
    return given.set_column(given.column_names.index(name), name, column)


def failing(given: pa.Table) -> tuple[str, str, str]:
    """Record, column and rule of the error."""
    with pytest.raises(RecordError) as raised:
        align(given)
    return raised.value.record, raised.value.column, raised.value.rule


def test_an_aligned_table_stays_as_it_is() -> None:
    given = table(image_row(), ecg_row())
    assert align(given).equals(given, check_metadata=True)


def test_columns_in_another_order_and_without_metadata() -> None:
    given = table(image_row(), ecg_row())
    turned = given.select(given.column_names[::-1]).replace_schema_metadata(None)
    assert align(turned).equals(given, check_metadata=True)


@pytest.mark.parametrize("field", RECORD.fields, ids=lambda field: field.name)
def test_absent_columns(field: Any) -> None:
    given = table(image_row(), SECOND).drop_columns([field.name])
    if field.nullable:
        aligned = align(given)
        assert aligned.schema.equals(arrow_schema(RECORD), check_metadata=True)
        assert aligned[field.name].to_pylist() == [None, None]
    else:
        assert failing(given)[1:] == (field.name, "every column is there")


def test_the_tables_that_polars_makes() -> None:
    given = table(image_row(), ecg_row())
    assert align(pl.DataFrame(given).to_arrow()).to_pylist() == given.to_pylist()


@pytest.mark.parametrize(
    "kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str
)
def test_kinds_of_text(kind: pa.DataType) -> None:
    column = pa.array([image_row()["id"], "second"]).cast(kind)
    assert align(replaced("id", column)).equals(table(image_row(), SECOND))


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.uint32(), pa.float64()], ids=str)
def test_whole_numbers_of_any_width(kind: pa.DataType) -> None:
    aligned = align(replaced("age", pa.array([61, 20], kind)))
    assert aligned["age"].to_pylist() == [61, 20]
    assert aligned["age"].type == pa.int16()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("age", pa.array([61, 40_000])),
        ("age", pa.array([61, 20.5])),
        ("age", pa.array(["61", "twenty"])),
        ("question", pa.array([b"What?", b"\xff"])),
    ],
    ids=["beyond int16", "a fraction", "a word", "no UTF-8"],
)
def test_values_that_do_not_fit_name_their_record(name: str, column: pa.Array) -> None:
    record, found, rule = failing(replaced(name, column))
    assert (record, found) == ("second", name)
    assert rule == f"castable to {arrow_schema(RECORD).field(name).type}"


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_the_record_at_fault_is_found_anywhere(size: int) -> None:
    for place in range(size):
        rows = [image_row(id=f"r{n}") for n in range(size)]
        ages = [n if n != place else 99_999 for n in range(size)]
        given = table(*rows)
        given = given.set_column(given.column_names.index("age"), "age", pa.array(ages))
        assert failing(given)[:2] == (f"r{place}", "age")


def test_a_type_that_no_cast_bridges() -> None:
    assert failing(replaced("labels", pa.array([1, 2])))[1:] == (
        "labels",
        f"castable to {pa.list_(pa.string())}",
    )


def test_unknown_and_repeated_columns() -> None:
    given = table(image_row())
    assert failing(given.append_column("score", pa.array([1.0])))[1:] == (
        "score",
        "no other columns",
    )
    assert failing(given.append_column("age", given["age"]))[1:] == ("age", "every column once")
    record, column, _ = failing(given.append_column("id", given["id"]))
    assert (record, column) == ("all", "id")


def regions(member: str, value: Any) -> pa.Array:
    """Boxes with a member added, or left out where `value` is None."""
    boxes = [dict(box) for box in image_row()["regions"]]
    for box in boxes:
        if value is None:
            del box[member]
        else:
            box[member] = value
    return pa.array([boxes, boxes])


def test_unknown_members_are_not_dropped_silently() -> None:
    assert failing(replaced("regions", regions("score", 0.5)))[1:] == (
        "regions.score",
        "no other columns",
    )
    images = [[{"bytes": b"", "path": "", "caption": "?"}]] * 2
    assert failing(replaced("images", pa.array(images)))[1] == "images.caption"


def test_members_that_must_be_there_are_not_filled_with_null() -> None:
    assert failing(replaced("regions", regions("label", None)))[1:] == (
        "regions.label",
        "every member is there",
    )
    ecg = ecg_row()["ecg"]
    del ecg["valid"]
    assert failing(replaced("ecg", pa.array([ecg, ecg])))[1] == "ecg.valid"


def test_members_deep_inside_are_checked() -> None:
    info = image_row()["image_info"]
    info[0]["window"]["slope"] = 1.0
    assert failing(replaced("image_info", pa.array([info, info])))[1] == "image_info.window.slope"


def test_members_that_may_be_absent_become_null() -> None:
    aligned = align(replaced("regions", regions("reader", None)))
    assert aligned["regions"].to_pylist()[0][0]["reader"] is None
    assert aligned["regions"].to_pylist()[0][0]["label"] == "opacity"


def test_members_in_another_order() -> None:
    boxes = [dict(reversed(box.items())) for box in image_row()["regions"]]
    assert align(replaced("regions", pa.array([boxes, boxes]))).equals(table(image_row(), SECOND))


def test_other_contracts() -> None:
    given = pa.table(
        {"id": ["a"], "rewards": [[1.0, 0.0]], "success_rate": [0.5], "n_rollouts": [2]}
    )
    with pytest.raises(RecordError, match="policy"):
        align(given, DIFFICULTY)
    whole = given.append_column("policy", [["p"]]).append_column("scorer", [["s"]])
    assert align(whole, DIFFICULTY).schema == arrow_schema(DIFFICULTY)


def test_an_empty_table() -> None:
    assert align(table()).num_rows == 0
    assert failing(table().drop_columns(["question"]))[0] == "all"
