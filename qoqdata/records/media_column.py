"""Columns of images and masks between rows and Arrow: encoded bytes are copied once.

Arrow's own conversion lets its buffer grow as they come, which copies and clears a row group of
large images several times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

#: Bytes of a column from which on its offsets need more than 32 bits.
_LARGEST = 2**31


def media_array(
    cells: Sequence[Sequence[Mapping[str, Any]] | None], kind: pa.ListType
) -> pa.ListArray:
    """An Arrow array of the contract's type `kind`, one entry a row, as `pa.array` would make it.

    Raises as `pa.array` for what is of another type, or 2 GiB and more.
    """
    items = [item for cell in cells for item in cell or ()]
    content: list[Any] = [item and item["bytes"] for item in items]
    if {type(one) for one in content} - {bytes} or sum(map(len, content)) >= _LARGEST:
        return pa.array(cells, kind)
    struct = kind.value_type
    offsets = pa.py_buffer(_offsets([len(one) for one in content]))
    buffers = [None, offsets, pa.py_buffer(b"".join(content))]
    members = [
        pa.Array.from_buffers(field.type, len(items), buffers)
        if field.name == "bytes"
        else pa.array([item[field.name] for item in items], field.type)
        for field in struct
    ]
    values = pa.StructArray.from_arrays(members, fields=list(struct))
    ends = pa.array(_offsets([len(cell or ()) for cell in cells]))
    mask = pa.array([cell is None for cell in cells]) if None in cells else None
    return pa.ListArray.from_arrays(ends, values, type=kind, mask=mask)


def _offsets(lengths: Sequence[int]) -> np.ndarray:
    return np.cumsum([0, *lengths], dtype=np.int32)
