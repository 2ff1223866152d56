"""The column of signals between rows and Arrow, by whole leads.

Arrow's own conversions walk the lists of each row; ECGs are the largest lists of a data set, and
the samples of a lead lie side by side already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

_Ecg = Mapping[str, Any]


def ecg_array(ecgs: Sequence[_Ecg | None], kind: pa.StructType) -> pa.Array:
    """An Arrow array of the contract's type `kind`, one entry a row, as `pa.array` would make it.

    Raises TypeError and ValueError for samples that are no numbers, and masks that are no bools.
    """
    if not any(ecgs):
        return pa.nulls(len(ecgs), kind)
    mask = pa.array([ecg is None for ecg in ecgs])
    members = {
        "leads": _plain(ecgs, "leads", kind),
        "fs": _plain(ecgs, "fs", kind),
        "signal": _nested(ecgs, "signal", _samples),
        "valid": _nested(ecgs, "valid", _bits),
    }
    arrays = [members[field.name] for field in kind]
    return pa.StructArray.from_arrays(arrays, fields=list(kind), mask=mask)


def ecg_rows(column: pa.StructArray) -> list[dict[str, Any] | None]:
    """The rows of the column, leads of `signal` and `valid` as arrays that share Arrow's memory
    where they can: (samples,) float32, of which a null one is NaN, and (samples,) bool.

    A list or a lead that is null is None.
    """
    if column.null_count == len(column):
        return [None] * len(column)
    leads, fs = (column.field(name).to_pylist() for name in ("leads", "fs"))
    signal, valid = (_leads(column.field(name)) for name in ("signal", "valid"))
    return [
        None
        if absent
        else {"leads": leads[row], "fs": fs[row], "signal": signal[row], "valid": valid[row]}
        for row, absent in enumerate(column.is_null().to_pylist())
    ]


def _leads(rows: pa.ListArray) -> list[list[np.ndarray | None] | None]:
    inner = rows.values
    samples = inner.values.to_numpy(zero_copy_only=False)
    edges, nulls = inner.offsets.to_pylist(), inner.is_null().to_pylist()
    of_rows, absent = rows.offsets.to_pylist(), rows.is_null().to_pylist()

    def row(first: int, last: int) -> list[np.ndarray | None]:
        places = range(first, last)
        return [None if nulls[at] else samples[edges[at] : edges[at + 1]] for at in places]

    ends = zip(absent, of_rows[:-1], of_rows[1:], strict=True)
    return [None if gone else row(first, last) for gone, first, last in ends]


def _plain(ecgs: Iterable[_Ecg | None], member: str, kind: pa.StructType) -> pa.Array:
    values = [ecg and ecg[member] for ecg in ecgs]
    return pa.array(values, kind.field(member).type)


def _nested(ecgs: Iterable[_Ecg | None], member: str, flat: Any) -> pa.ListArray:
    """Leads of rows, samples of leads; a row without an ECG has none."""
    rows = [ecg[member] if ecg is not None else () for ecg in ecgs]
    leads = [np.asarray(lead) for row in rows for lead in row]
    inner = pa.ListArray.from_arrays(_offsets(map(len, leads)), flat(leads))
    return pa.ListArray.from_arrays(_offsets(map(len, rows)), inner)


def _offsets(lengths: Iterable[int]) -> pa.Array:
    ends = np.cumsum([0, *lengths], dtype=np.int64)
    return pa.array(ends, pa.int32())


def _samples(leads: Sequence[np.ndarray]) -> pa.Array:
    if not leads:
        return pa.array([], pa.float32())
    return pa.array(np.concatenate(leads, dtype=np.float32, casting="same_kind"))


def _bits(leads: Sequence[np.ndarray]) -> pa.Array:
    if not leads:
        return pa.array([], pa.bool_())
    valid = np.concatenate(leads, dtype=np.bool_, casting="no")
    bits = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.BooleanArray.from_buffers(pa.bool_(), len(valid), [None, bits])
