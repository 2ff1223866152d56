"""Cells of annotation tables, by tables of spellings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import BadLabel, BadTable
from qoqdata.person import read_age
from qoqdata.sources import cells

ABSENT = [
    None, "", " ", "\t", "na", "NA", "N/A", "n/a", "nan", "NaN", "None", "NULL", "unknown",
    "Unknown ", "-99", "-99.0",
]  # fmt: skip


@pytest.mark.parametrize("cell", ABSENT)
def test_absent(cell: str | None) -> None:
    assert cells.text(cell) is None
    assert cells.number(cell) is None
    assert cells.integer(cell) is None
    assert read_age(cell) is None
    assert cells.sex(cell) is None


@given(st.lists(st.none() | st.sampled_from(ABSENT) | st.text(max_size=9)))
def test_texts_of_a_column_are_those_of_its_cells(column: list[str | None]) -> None:
    assert cells.texts(column) == [cells.text(cell) for cell in column]


@pytest.mark.parametrize(
    ("cell", "value"), [(" a b ", "a b"), ("0", "0"), ("-", "-"), ("nano", "nano"), ("-9", "-9")]
)
def test_text(cell: str, value: str) -> None:
    assert cells.text(cell) == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0", 0.0),
        (" 61.5 ", 61.5),
        ("-1", -1.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("inf", None),
        ("-Infinity", None),
        ("1e999", None),
        ("1,5", None),
        ("1_000", None),
        ("61Y", None),
        ("0x10", None),
        ("--", None),
    ],
)
def test_numbers(cell: str, value: float | None) -> None:
    assert cells.number(cell) == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [("15709.0", 15709), ("-3", -3), ("0", 0), ("1e3", 1000), ("1.5", None), ("x", None)],
)
def test_whole_numbers(cell: str, value: int | None) -> None:
    assert cells.integer(cell) == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [("45", 45), ("45.9", 45), ("0", 0), ("0.5", 0), ("300", None), ("-1", None), ("forty", None)],
)
def test_ages_in_completed_years(cell: str, value: int | None) -> None:
    assert read_age(cell) == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("F", "female"),
        (" female ", "female"),
        ("Female", "female"),
        ("m", "male"),
        ("MALE", "male"),
        ("O", "other"),
    ],
)
def test_sex(cell: str, value: str) -> None:
    assert cells.sex(cell) == value


@given(st.text(max_size=12))
def test_any_text_is_read_or_absent(cell: str) -> None:
    number, integer, years = cells.number(cell), cells.integer(cell), read_age(cell)
    assert integer is None or integer == number
    # What is a number to both is so many years, up to the cap.
    if number is not None and years is not None:
        assert years <= number < (years + 1 if years < 90 else 121)


@pytest.mark.parametrize("cell", ["1", "0", "U", "H", "femme", "W", "x"])
def test_a_sex_that_nobody_explained_is_refused(cell: str) -> None:
    with pytest.raises(BadLabel, match="sex_values"):
        cells.sex(cell)
    assert cells.sex(cell, {cell: "female"}) == "female"


def test_a_quantity_is_a_number_or_absent() -> None:
    assert cells.quantity(" 61.5 ", "EF", where="a") == 61.5
    assert cells.quantity("NaN", "EF", where="a") is None is cells.quantity(None, "EF", where="a")
    for cell in ("61,5", "high", "1_000", "inf"):
        with pytest.raises(BadTable, match=f"a: EF is '{cell}', no number"):
            cells.quantity(cell, "EF", where="a")
