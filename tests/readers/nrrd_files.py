"""NRRD files and detached headers written by hand: 2 x 3 x 4 voxels of 16 bits."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np

SHORTS = np.arange(-12, 12, dtype="<i2")
BASE = {
    "type": "short",
    "dimension": "3",
    "sizes": "2 3 4",
    "encoding": "raw",
    "endian": "little",
    "space": "left-posterior-superior",
    "space directions": "(0.5,0,0) (0,2,0) (0,0,3)",
    "space origin": "(1,2,3)",
}
ENCODE: dict[str, Callable[[bytes], bytes]] = {
    "raw": bytes,
    "gzip": gzip.compress,
    "gz": gzip.compress,
    "bzip2": bz2.compress,
    "bz2": bz2.compress,
    "hex": lambda data: data.hex(" ", 7).encode() + b"\n",
}


def header(drop: tuple[str, ...] = (), **changes: str) -> bytes:
    """Header lines of BASE with changes (underscores for spaces), no blank line at the end."""
    fields = {**BASE, **{name.replace("_", " "): value for name, value in changes.items()}}
    lines = [f"{name}: {value}\n" for name, value in fields.items() if name not in drop]
    return b"NRRD0005\n# a comment\n" + "".join(lines).encode()


def write(folder: Path, head: bytes, data: bytes | None = None) -> Path:
    """Attached (a.nrrd) when data are given, else a detached header (a.nhdr)."""
    path = folder / ("a.nhdr" if data is None else "a.nrrd")
    path.write_bytes(head if data is None else head + b"\n" + data)
    return path
