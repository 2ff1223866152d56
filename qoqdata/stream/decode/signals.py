"""The ECG of a record as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from qoqdata.errors import InputError, Misaligned, UnreadableFile


def ecg(struct: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The struct with its members as arrays; members that were not read stay absent.

    leads   list of names
    fs      Hz, float
    signal  float32 (leads, samples), millivolts, at the native rate and length
    valid   bool (leads, samples), false where the signal is unusable

    `signal` and `valid` may be nested lists, lists of arrays, a two-dimensional array, or an Arrow
    list of lists (which costs no Python objects). Raises UnreadableFile for nulls and wrong types,
    Misaligned where leads differ in length or the members disagree, InputError for NaN or infinity.
    """
    result = dict(struct)
    if "leads" in struct:
        result["leads"] = _list(struct["leads"])
    if "fs" in struct:
        result["fs"] = float(struct["fs"])
    if "signal" in struct:
        with np.errstate(over="ignore"):  # becomes infinity, which is refused
            signal = _matrix(struct["signal"], "fiu", f"{where}.signal")
            signal = signal.astype(np.float32, copy=False)
        if not np.isfinite(signal).all():
            raise InputError("holds NaN or infinity", where=f"{where}.signal")
        result["signal"] = _writable(signal)
    if "valid" in struct:
        result["valid"] = _writable(_matrix(struct["valid"], "b", f"{where}.valid"))
    shapes = {name: result[name].shape for name in ("signal", "valid") if name in result}
    counts = {shape[0] for shape in shapes.values()}
    if "leads" in result:
        counts.add(len(result["leads"]))
    if len(set(shapes.values())) > 1 or len(counts) > 1:
        names = len(result["leads"]) if "leads" in result else "unread"
        raise Misaligned(f"shapes disagree: {shapes}, lead names {names}", where=where)
    return result


def _list(values: Any) -> list[str]:
    return values.as_py() if isinstance(values, pa.Scalar) else [str(value) for value in values]


def _matrix(values: Any, kinds: str, where: str) -> np.ndarray:
    """(leads, samples) of one of the NumPy kinds `kinds`."""
    if isinstance(values, pa.ListScalar):
        values = values.values
    if isinstance(values, (pa.ListArray, pa.LargeListArray)):
        return _from_arrow(values, kinds, where)
    try:
        rows = [np.asarray(row) for row in values]
    except (TypeError, ValueError) as error:
        raise UnreadableFile(f"{type(values).__name__} is no signal", where=where) from error
    for row in rows:
        if row.ndim != 1 or row.dtype.kind not in kinds:
            raise UnreadableFile(f"a lead of {row.dtype} {row.shape}", where=where)
    _check_lengths({len(row) for row in rows}, where)
    return np.stack(rows)


def _from_arrow(values: pa.ListArray, kinds: str, where: str) -> np.ndarray:
    flat = values.flatten()
    if values.null_count or flat.null_count:
        raise UnreadableFile("holds null samples", where=where)
    _check_lengths(set(pc.list_value_length(values).to_pylist()), where)
    samples = flat.to_numpy(zero_copy_only=False)
    if samples.dtype.kind not in kinds:
        raise UnreadableFile(f"samples of {samples.dtype}", where=where)
    return np.reshape(samples, (len(values), -1))


def _check_lengths(lengths: set[int], where: str) -> None:
    if len(lengths) != 1 or 0 in lengths:
        raise Misaligned(f"leads have {sorted(lengths)} samples", where=where)


def _writable(array: np.ndarray) -> np.ndarray:
    """Arrow's memory is read-only, which torch warns of."""
    return array if array.flags.writeable else array.copy()
