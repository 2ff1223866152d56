"""What the viewer costs on a large set: loading the index, filters, sorts, searches.

    python -m benchmarks.viewer [--records 2610000]

The table is made up: 60 sources with a domain each, 12 tasks, 400 labels (none to three a record),
3,000 questions, 20,000 answers, 300,000 reports. CPU-seconds are of this process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa

from benchmarks.cpu import cpu_seconds
from qoqdata import console
from qoqdata.contract.vocabulary import DOMAINS, MODALITIES, REDISTRIBUTION, TASK_KINDS
from qoqdata.viewer.record_index import RecordIndex, index_of
from qoqdata.viewer.selection import RecordQuery, Selections

_Value = TypeVar("_Value")
SOURCES, TASKS, LABELS, QUESTIONS, ANSWERS, REPORTS = 60, 12, 400, 3000, 20_000, 300_000
WORDS = ("lungs", "clear", "effusion", "small", "left", "right", "heart", "normal", "no")
TRAIN = (("split", ("train",)),)
QUERIES = {
    "all records, every filter counted": RecordQuery(),
    "one filter": RecordQuery(filters=(("domain", ("ct",)),)),
    "three filters": RecordQuery(filters=(("domain", ("ct", "mri")), *TRAIN, ("sex", ("female",)))),
    "a label": RecordQuery(labels=("finding 7",)),
    "sorted by age for the first time": RecordQuery(sort="age"),
    "sorted by age again, with a filter": RecordQuery(sort="age", filters=TRAIN),
    "a word that most reports have": RecordQuery(text="effusion"),
    "a word that few have": RecordQuery(text="299999"),
    "two words and a filter": RecordQuery(text="small heart", filters=TRAIN),
}


def main() -> None:
    """Print seconds of CPU and of the clock for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_610_000)
    tables = [made_up(parser.parse_args().records)]
    rows: list[tuple] = []
    index: RecordIndex = _measured("load the index", lambda: index_of(tables.pop()), rows)
    selections = Selections(index)
    for name, query in QUERIES.items():
        found = _measured(name, lambda query=query: selections.answer(query), rows)  # type: ignore[misc]
        rows[-1] = (*rows[-1], len(found.rows))
    rows[0] = (*rows[0], len(index))
    console.table(("what", "CPU s", "s", "records"), rows)


def made_up(records: int) -> pa.Table:
    """A table as `index_of` takes it."""
    random = np.random.default_rng(0)
    source = random.integers(0, SOURCES, records)
    task = (random.integers(0, 3, records) + source % 9) % TASKS
    ends = np.concatenate([[0], np.cumsum(random.integers(0, 4, records))]).astype(np.int64)
    reports = [f"{' '.join(random.choice(WORDS, 30))} {n}" for n in range(REPORTS)]

    def any_of(values: Sequence[str | None]) -> pa.Array:
        return _texts(random.integers(0, len(values), records), values)

    numbers = np.arange(records)
    return pa.table(
        {
            "id": pa.array([f"{n:032x}" for n in range(records)]),
            "source": _texts(source, [f"source_{n}" for n in range(SOURCES)]),
            "domain": _texts(source % len(DOMAINS), DOMAINS),
            "modality": _texts(source % len(MODALITIES), MODALITIES),
            "task": _texts(task, [f"task_{n}" for n in range(TASKS)]),
            "kind": _texts(task % len(TASK_KINDS), TASK_KINDS),
            "split": any_of(["train"] * 8 + ["validation", "test"]),
            "redistribution": _texts(source % len(REDISTRIBUTION), REDISTRIBUTION),
            "sex": any_of(["female", "male", None]),
            "question": any_of([f"What does image {n} show?" for n in range(QUESTIONS)]),
            "answer": any_of([f"finding {n % LABELS}, finding {n}" for n in range(ANSWERS)]),
            "context": any_of([None, *reports]),
            "age": pa.array(random.integers(0, 91, records).astype(np.int16)),
            "labels": pa.LargeListArray.from_arrays(
                pa.array(ends),
                _texts(
                    random.integers(0, LABELS, int(ends[-1])),
                    [f"finding {n}" for n in range(LABELS)],
                ),
            ),
            "image_info": pa.LargeListArray.from_arrays(
                pa.array(np.arange(records + 1)), pa.array(np.full(records, 512, np.int32))
            ),
            "ecg": pa.StructArray.from_arrays([pa.nulls(records, pa.float32())], ["fs"]),
            "shard": pa.array((numbers // 5000).astype(np.int32)),
            "row_group": pa.array((numbers // 500 % 10).astype(np.int32)),
        }
    )


def _texts(codes: np.ndarray, values: Sequence[str | None]) -> pa.Array:
    coded = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(values))
    return coded.cast(pa.string())


def _measured(name: str, call: Callable[[], _Value], rows: list[tuple]) -> _Value:
    """The result of a call; its seconds become a row."""
    results: list[_Value] = []
    began = time.perf_counter()
    spent = cpu_seconds(lambda: results.append(call()))
    rows.append((name, spent, time.perf_counter() - began))
    return results[0]


if __name__ == "__main__":
    main()
