"""Which neighbouring rows show the same recording, of rows to be written and of written ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

#: Bytes of the samples of a row from which on Arrow writes them, which cuts rows into pages.
LARGEST = 2**28

_Ecg = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class SignalRun:
    """Neighbouring rows with one recording: `samples` float32 mV and `valid` bool, both 1-D, lead
    after lead, of `leads` leads of one length. Without a recording `leads` is 0.
    """

    rows: int
    leads: int
    samples: np.ndarray
    valid: np.ndarray

    def shows(self, other: SignalRun) -> bool:
        """Whether both are one recording to the last bit, so that -0.0 is not 0.0."""
        return (
            self.leads == other.leads
            and np.array_equal(self.samples.view(np.uint32), other.samples.view(np.uint32))
            and np.array_equal(self.valid, other.valid)
        )


_NONE = SignalRun(1, 0, np.zeros(0, np.float32), np.zeros(0, np.bool_))


def row_runs(ecgs: Sequence[_Ecg | None]) -> list[SignalRun] | None:
    """The runs of the values of a column `ecg`, in which equal objects are one recording.

    None where a recording has no leads of one length and masks of the same, or is too large.
    Raises TypeError and ValueError for samples that are no numbers, and masks that are no bools.
    """
    runs: list[SignalRun] = []
    before: _Ecg | None = None
    for place, ecg in enumerate(ecgs):
        if place and ecg is before:
            runs[-1] = replace(runs[-1], rows=runs[-1].rows + 1)
            continue
        before = ecg
        run = _NONE if ecg is None else _of_leads(ecg["signal"], ecg["valid"])
        if run is None:
            return None
        _add(runs, run)
    return runs


def column_runs(ecg: pa.StructArray) -> list[SignalRun] | None:
    """The runs of an Arrow column `ecg`; as `row_runs` gives them of its values."""
    signal, valid = (pc.struct_field(ecg, name) for name in ("signal", "valid"))
    if not (signal.is_valid().equals(ecg.is_valid()) and valid.is_valid().equals(ecg.is_valid())):
        return None
    runs: list[SignalRun] = []
    for run in _of_rows(ecg, signal, valid):
        if run is None:
            return None
        _add(runs, run)
    return runs


def _add(runs: list[SignalRun], run: SignalRun) -> None:
    if runs and runs[-1].shows(run):
        runs[-1] = replace(runs[-1], rows=runs[-1].rows + run.rows)
    else:
        runs.append(run)


def _of_leads(signal: Sequence[np.ndarray], valid: Sequence[np.ndarray]) -> SignalRun | None:
    lengths = {len(lead) for lead in signal}
    if len(lengths) != 1 or [len(lead) for lead in valid] != [len(lead) for lead in signal]:
        return None
    samples = np.concatenate(signal, dtype=np.float32, casting="same_kind")
    return _sound(len(signal), samples, np.concatenate(valid, dtype=np.bool_, casting="no"))


def _of_rows(
    ecg: pa.StructArray, signal: pa.ListArray, valid: pa.ListArray
) -> Iterator[SignalRun | None]:
    outer, lengths, samples = _flat(signal)
    mask_outer, mask_lengths, mask = _flat(valid)
    same = np.array_equal(outer, mask_outer) and np.array_equal(lengths, mask_lengths)
    if samples is None or mask is None or not same:
        yield None
        return
    ends = np.concatenate([[0], np.cumsum(lengths)])
    for row, present in enumerate(ecg.is_valid().to_pylist()):
        first, last = outer[row], outer[row + 1]
        if not present:
            yield _NONE
            continue
        if first == last or len(set(lengths[first:last].tolist())) > 1:
            yield None
            return
        own = slice(ends[first], ends[last])
        yield _sound(int(last - first), samples[own], mask[own])


def _flat(nested: pa.ListArray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Where the lists of rows end, the lengths of their lists, and the values; None for the latter
    where a list or a value is null."""
    inner = pc.list_flatten(nested)
    values = pc.list_flatten(inner)
    counts = pc.fill_null(pc.list_value_length(nested), 0)
    outer = np.concatenate([[0], np.cumsum(np.asarray(counts, np.int64))])
    lengths = np.asarray(pc.fill_null(pc.list_value_length(inner), 0), np.int64)
    if inner.null_count or values.null_count:
        return outer, lengths, None
    return outer, lengths, values.to_numpy(zero_copy_only=False)


def _sound(leads: int, samples: np.ndarray, valid: np.ndarray) -> SignalRun | None:
    if not 0 < samples.nbytes < LARGEST:
        return None
    return SignalRun(1, leads, samples, valid)
