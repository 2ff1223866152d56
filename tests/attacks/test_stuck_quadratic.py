"""What a hostile file makes large costs in proportion to it: steps are counted, not timed."""

from __future__ import annotations

import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from qoqdata.errors import BadTable, TooLarge
from qoqdata.readers.dicom import dataset
from qoqdata.readers.limits import Limits
from qoqdata.sources import raw_tables
from qoqdata.sources.raw_tables import read_delimited, read_parquet
from tests.readers.dicom_objects import image, save

DEFLATED = "1.2.840.10008.1.2.1.99"


class CountingInflater:
    """zlib's, with a count of the bytes that its calls are given: what one leaves over it copies,
    and is given again."""

    def __init__(self, inflater: Any, counts: list[int]) -> None:
        self._inflater, self._counts = inflater, counts

    def decompress(self, data: bytes, most: int) -> bytes:
        self._counts.append(len(data))
        return self._inflater.decompress(data, most)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inflater, name)


def copied(path: Path, monkeypatch: pytest.MonkeyPatch, bound: int) -> int:
    """Bytes handed to the inflater while the deflated file at `path` is measured."""
    counts: list[int] = []

    def decompressobj(bits: int) -> CountingInflater:
        return CountingInflater(zlib.decompressobj(bits), counts)

    zlib_counted = SimpleNamespace(decompressobj=decompressobj, MAX_WBITS=15, error=zlib.error)
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "zlib", zlib_counted)
        with path.open("rb") as file:
            dataset._check_inflated(file, 132, limits=Limits(inflated_bytes=bound), where=str(path))
    return sum(counts)


def test_a_deflated_file_is_measured_in_proportion_to_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise hardly shrinks, so that one step gives far less than the file holds."""
    noise = np.random.default_rng(1)
    for rows in (1000, 4000):
        made = image(noise.integers(0, 256, (rows, 1500), np.uint8))
        made.file_meta.TransferSyntaxUID = DEFLATED
        path = save(made, tmp_path / f"{rows}.dcm")
        size = path.stat().st_size
        assert size > rows * 1000
        assert size - 1000 < copied(path, monkeypatch, 2**30) < 1.1 * size
        with pytest.raises(TooLarge, match="inflated bytes"):
            copied(path, monkeypatch, rows * 1500)


def test_a_small_file_that_inflates_a_thousandfold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = image(np.zeros((10_000, 2000), np.uint8))
    made.file_meta.TransferSyntaxUID = DEFLATED
    path = save(made, tmp_path / "zeros.dcm")
    size = path.stat().st_size
    assert size < 100_000
    # Each of 20 steps of 1 MiB is given what is left of a piece of 64 KiB.
    assert copied(path, monkeypatch, 2**30) < 20 * 2**16


@pytest.mark.parametrize("separator", [",", "\t"])
@pytest.mark.parametrize(("most", "fits"), [(500, True), (499, False)])
def test_tables_of_too_many_columns_are_refused(
    separator: str, most: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert raw_tables.MOST_COLUMNS == 100_000
    monkeypatch.setattr(raw_tables, "MOST_COLUMNS", most)
    head = separator.join(f"c{number}" for number in range(500))
    table = f"{head}\n{separator * 499}\n".encode()

    def read() -> pl.DataFrame:
        return read_delimited(
            table,
            columns=["c7"],
            separator=separator,
            empty=False,
            full=False,
            where="wide.csv",
        )

    if fits:
        assert read().width == 500
    else:
        with pytest.raises(BadTable, match=r"wide\.csv: has 500 columns, and 499 are the most"):
            read()


def test_a_parquet_table_of_too_many_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_tables, "MOST_COLUMNS", 9)
    path = tmp_path / "wide.parquet"
    pl.DataFrame({f"c{number}": [1] for number in range(10)}).write_parquet(path)
    with pytest.raises(BadTable, match="has 10 columns, and 9 are the most"):
        read_parquet(path, columns=["c1"], empty=False, where="wide.parquet")


def test_a_column_that_is_not_there_does_not_list_thousands() -> None:
    head = ",".join(f"c{number}" for number in range(5000))
    with pytest.raises(BadTable, match=r"lacks the column 'key'.*c99, \.\.\.") as caught:
        read_delimited(
            f"{head}\n".encode(),
            columns=["key"],
            separator=",",
            empty=True,
            full=False,
            where="wide.csv",
        )
    assert len(str(caught.value)) < 1000


def test_names_are_looked_up_and_not_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many comparisons as columns asked for, however many there are."""
    compared = 0

    class Name(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    names = [f"c{number}" for number in range(2000)]
    raw_tables._check_columns([Name(name) for name in names], names, "wide.csv")
    assert compared <= 2 * len(names)
