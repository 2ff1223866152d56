"""The light columns of all records in memory, coded so that millions are counted in an instant."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from qoqdata.contract.side_tables import VERDICTS
from qoqdata.dataset import Dataset
from qoqdata.items import COLUMNS as PLACES
from qoqdata.remote.leaves import PLACE
from qoqdata.side_table import read_side_table
from qoqdata.statistics import difficulty
from qoqdata.verdicts import in_force

#: Columns that are filtered by value and counted.
FACETS = ("source", "domain", "modality", "task", "kind", "split", "redistribution", "sex")
#: What curation made of a record; a filter too.
STATES = ("kept", "held", "dropped")
#: Columns that are searched, besides labels and the beginnings of ids.
TEXTS = ("question", "answer", "context")
LEAVES = (
    *("id", *FACETS, *TEXTS, "age"),
    *("labels.list.element", "image_info.list.element.width", "ecg.fs"),
)
#: Shown for a null.
UNSTATED = "not stated"
#: Keys that are numbered through a table of all of them; more are sorted.
_KEYS = 2**26
#: The rule of records that wait for somebody to decide.
_HELD = "phi_held"


@dataclass(frozen=True)
class Coded:
    """A text column: `values` are its different texts, `codes` (int32, records) the place of each
    record's among them; nulls are UNSTATED."""

    values: pl.Series
    codes: NDArray[np.int32]


@dataclass
class RecordIndex:
    """All records of a data set by row number, in manifest order.

    ids           of the records
    places        shard, row group and row in it, as `qoqdata.items.COLUMNS`
    facets        the columns of FACETS, coded
    texts         the columns of TEXTS, coded
    labels        different labels; `label_rows` and `label_codes` (both as long as all lists
                  together) say which record asserts which
    signals       whether there is an ECG
    numbers       what is sorted by number: age, images and success_rate where there is a table of
                  difficulty; float32, NaN where unknown
    cells         (int32) which combination of facets a record has
    combinations  (combinations, facets) codes of each
    """

    ids: pl.Series
    places: pl.DataFrame
    facets: dict[str, Coded]
    texts: dict[str, Coded]
    labels: pl.Series
    label_rows: NDArray[np.int64]
    label_codes: NDArray[np.int32]
    signals: NDArray[np.bool_]
    numbers: dict[str, NDArray[np.float32]]
    cells: NDArray[np.int32]
    combinations: NDArray[np.int32]
    states: NDArray[np.uint8] = field(init=False)
    #: Counts changes of states.
    version: int = field(default=0, init=False)
    _stamp: tuple[int, ...] | None = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __post_init__(self) -> None:
        self.states = np.zeros(len(self.ids), np.uint8)

    def __len__(self) -> int:
        return len(self.ids)

    def row_of(self, id_: str) -> int | None:
        """The row of a record; None where there is no such id."""
        rows = (self.ids == id_).arg_true()
        return int(rows[0]) if rows.len() else None

    def text(self, column: str, row: int) -> str:
        """The text of a facet or text column in a row; empty for a null text."""
        coded = self.facets.get(column) or self.texts[column]
        return str(coded.values[int(coded.codes[row])])

    def follow(self, verdicts: Path) -> None:
        """Take the states from the table of verdicts where it has changed since, whoever wrote it.

        Raises DatasetError for one that is damaged.
        """
        with self._lock:
            state = verdicts.stat() if verdicts.is_file() else None
            stamp = state and (state.st_ino, state.st_size, state.st_mtime_ns)
            if stamp != self._stamp:
                self.states = states_of(verdicts, self.ids)
                self.version, self._stamp = self.version + 1, stamp


def read_index(dataset: Dataset, policy: str | None = None) -> RecordIndex:
    """The index of all records of a data set; behind a URL its metadata are fetched.

    Raises DatasetError where metadata cannot be read, UsageError where it is open whose success
    rates count.
    """
    dataset.check_some()
    index = index_of(dataset.files.leaves(LEAVES))
    index.follow(dataset.files.layout("curation").verdicts)
    rates = difficulty.choose(dataset.files.layout("difficulty"), policy)
    if rates is not None:
        by_id = rates.select("id", pl.col("success_rate").cast(pl.Float32)).unique("id")
        joined = pl.DataFrame({"id": index.ids}).join(by_id, on="id", how="left")
        rate = joined["success_rate"].fill_null(float("nan")).to_numpy()
        index.numbers["success_rate"] = rate
    return index


def index_of(table: pa.Table) -> RecordIndex:
    """The index of a table with the columns of LEAVES by their first names and those of PLACE."""
    facets = {name: _coded(table[name], UNSTATED) for name in FACETS}
    ids = pl.DataFrame(table.select(["id", *PLACE]))
    labels, rows, codes = _lists(table["labels"])
    cells, combinations = _combined([facets[name] for name in FACETS])
    age = pl.Series(table["age"]).cast(pl.Float32).fill_null(float("nan"))
    images = pl.Series(table["image_info"]).list.len().fill_null(0)
    fs = pl.Series(table["ecg"]).struct.field("fs")
    return RecordIndex(
        ids=ids["id"],
        places=ids.select(*PLACE, row=pl.int_range(pl.len(), dtype=pl.Int32).over(PLACE)).select(
            PLACES
        ),
        facets=facets,
        texts={name: _coded(table[name], "") for name in TEXTS},
        labels=labels,
        label_rows=rows,
        label_codes=codes,
        signals=fs.is_not_null().to_numpy(),
        numbers={"age": age.to_numpy(), "images": images.cast(pl.Float32).to_numpy()},
        cells=cells,
        combinations=combinations,
    )


def states_of(path: Path, ids: pl.Series) -> NDArray[np.uint8]:
    """What the table of verdicts at `path` makes of each of the records: places in STATES."""
    states = np.zeros(len(ids), np.uint8)
    if not path.is_file():
        return states
    fix = "run `qoqdata curate` again, or fetch the data set anew"
    verdicts = read_side_table(path, VERDICTS, ["id", "keep", "rule"], fix=fix)
    lost = in_force(verdicts).group_by("id").agg(held=(pl.col("rule") == _HELD).all())
    rows = pl.DataFrame({"id": ids}).with_row_index("place").join(lost, on="id", how="inner")
    held = rows["held"].to_numpy()
    states[rows["place"].to_numpy()] = np.where(held, STATES.index("held"), STATES.index("dropped"))
    return states


def _coded(column: pa.ChunkedArray, null: str) -> Coded:
    # Texts of millions of records are more than 2 GiB, the most that pa.string() can hold.
    whole = pc.fill_null(column.cast(pa.large_string()), null).combine_chunks()
    encoded = whole.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    return Coded(pl.Series(encoded.dictionary), codes)


def _lists(column: pa.ChunkedArray) -> tuple[pl.Series, NDArray[np.int64], NDArray[np.int32]]:
    """Different members of lists, and of each member its row and code."""
    lists = column.cast(pa.large_list(pa.large_string())).combine_chunks()
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    coded = _coded(pa.chunked_array([pc.list_flatten(lists)]), UNSTATED)
    return coded.values, rows, coded.codes


def _combined(columns: list[Coded]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Of each record the combination of codes it has, and the codes of each combination."""
    keys, possible = np.zeros(len(columns[0].codes), np.int64), 1
    for column in columns:
        if possible * len(column.values) > _KEYS:
            keys, possible = _dense(keys, possible)
        keys = keys * len(column.values) + column.codes
        possible *= len(column.values)
    cells, count = _dense(keys, possible)
    some_row = np.zeros(count, np.int64)
    some_row[cells] = np.arange(len(cells))
    codes = np.stack([column.codes[some_row] for column in columns], axis=1)
    return cells.astype(np.int32), codes


def _dense(keys: NDArray[np.int64], possible: int) -> tuple[NDArray[np.int64], int]:
    """The keys numbered from 0 in their order, and how many different ones there are."""
    if possible > _KEYS:
        different, numbers = np.unique(keys, return_inverse=True)
        return numbers, len(different)
    occurs = np.zeros(possible, bool)
    occurs[keys] = True
    numbers = np.cumsum(occurs) - 1
    return numbers[keys], int(occurs.sum())
