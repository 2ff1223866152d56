"""Units as columns: a plan of millions is a table, and a Unit is made where it is converted.

Columns are those of a Unit: `key`, `group`, `patient` and `split` as text, `files` as a list of
texts, and `facts` as the JSON text of its values, members in their own order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from operator import attrgetter
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from qoqdata.sources.protocol import Unit

COLUMNS = {
    "key": pl.String(),
    "files": pl.List(pl.String()),
    "group": pl.String(),
    "patient": pl.String(),
    "split": pl.String(),
    "facts": pl.String(),
}
#: Of Arrow's formats the one that all its readers know.
OLDEST = pl.CompatLevel.oldest()
NO_UNITS = pl.DataFrame(schema=COLUMNS)

#: Between facts, which are objects.
_MARK = "\x1e"
_FIELDS = attrgetter(*COLUMNS)
# Facts hold no circle, see `conformance`.
_json = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
).encode


def unit_table(units: Sequence[Unit]) -> pl.DataFrame:
    """The units as a table, in their order.

    Raises TypeError or ValueError where a text is none that UTF-8 can hold, or a fact no JSON value
    (a key of another type than text becomes one, see `conformance`).
    """
    if not units:
        return NO_UNITS
    keys, files, groups, patients, splits, facts = zip(*map(_FIELDS, units), strict=True)
    paths = pl.Series(list(chain.from_iterable(files)), dtype=pl.String)
    columns = {
        "key": keys,
        "files": pl.Series(list_array(paths.to_arrow(compat_level=OLDEST), map(len, files))),
        "group": groups,
        "patient": patients,
        "split": splits,
        "facts": _json_texts(facts),
    }
    return pl.DataFrame(columns, schema=COLUMNS)


def list_array(values: pa.Array, lengths: Iterable[int]) -> pa.LargeListArray:
    """Lists of so many of the values, one list after the other."""
    ends = np.array([0, *accumulate(lengths)], np.int64)
    # pa.array() would import pandas, which takes as long as to plan 20,000 files.
    buffers = [None, pa.py_buffer(ends)]
    kind = pa.large_list(values.type)
    return pa.Array.from_buffers(kind, len(ends) - 1, buffers, children=[values])


def _json_texts(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """The JSON of each, made at once with marks between: an encoder takes longer to make than a
    unit's facts. One by one where a fact holds what looks like a mark."""
    marked = [item for one in facts for item in (one, _MARK)]
    texts = _json(marked[:-1])[1:-1].split(f",{_json(_MARK)},")
    return texts if len(texts) == len(facts) else list(map(_json, facts))


def units_of(table: pl.DataFrame) -> Iterator[Unit]:
    """The units of a table, in its order."""
    files, facts = map(tuple, table["files"].to_list()), ",".join(table["facts"].to_list())
    texts = (table[name].to_list() for name in ("key", "group", "patient", "split"))
    keys, groups, patients, splits = texts
    return map(Unit, keys, files, groups, patients, splits, json.loads(f"[{facts}]"))


def all_files(table: pl.DataFrame) -> pl.Series:
    """The files of all units, one after the other."""
    return table["files"].explode(empty_as_null=False)


def packed(table: pl.DataFrame) -> bytes:
    """A table, of a few units of many, for another process: as Arrow's IPC, without the others."""
    content = table.write_ipc(None, compat_level=OLDEST)
    return content.getvalue()
