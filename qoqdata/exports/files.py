"""Media as files beside an annotation file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.atomic import replacing
from qoqdata.exports.rows import Row


def write_images(row: Row, out: Path) -> list[str]:
    """Write the record's images below `out` and return their relative paths."""
    return [_write(item, f"images/{row['source']}", out) for item in row["images"] or ()]


def write_mask(row: Row, out: Path) -> str | None:
    """Write the mask of the first image; None when there is none."""
    masks = row["masks"] or ()
    return _write(masks[0], f"masks/{row['source']}", out) if masks and masks[0] else None


def write_signal(row: Row, out: Path) -> str | None:
    """Write the ECG as float32 millivolts (lead, sample) in NumPy's format; None without one."""
    if row["ecg"] is None:
        return None
    name = f"ecg/{row['source']}/{row['id']}.npy"
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    with replacing(out / name) as draft, draft.open("wb") as stream:
        np.save(stream, signal(row))
    return name


def signal(row: Row) -> np.ndarray:
    """The ECG of a record: float32 millivolts, (lead, sample)."""
    return np.asarray(row["ecg"]["signal"], dtype=np.float32)


def _write(item: dict[str, Any], folder: str, out: Path) -> str:
    name = f"{folder}/{item['path']}"
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    with replacing(out / name) as draft:
        draft.write_bytes(item["bytes"])
    return name
