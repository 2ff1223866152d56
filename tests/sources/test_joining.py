"""Rows by the key that joins them."""

from __future__ import annotations

import polars as pl
import pytest

from qoqdata.errors import BadTable
from qoqdata.sources.joining import rows_by_key


def test_rows_keep_their_order_within_a_key() -> None:
    """Keys by first row, rows by place; nothing is dropped or merged."""
    table = pl.DataFrame({"key": ["b", "a", "b"], "value": ["1", None, "3"]})
    assert list(rows_by_key(table, "key", where="t.csv").items()) == [
        ("b", [{"key": "b", "value": "1"}, {"key": "b", "value": "3"}]),
        ("a", [{"key": "a", "value": None}]),
    ]


def test_a_row_without_a_key_is_named() -> None:
    """Lines count from 1 and the header is the first."""
    table = pl.DataFrame({"key": ["a", None], "value": ["1", "2"]})
    with pytest.raises(BadTable, match="key is empty") as raised:
        rows_by_key(table, "key", where="t.csv")
    assert raised.value.where == "t.csv, row 3"
