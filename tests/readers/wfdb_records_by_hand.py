"""WFDB records of format 16 written by hand, as plain samples or as a level 4 MAT file."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

NAMES = ("I", "II", "V1")


def noise(samples: int = 60, leads: int = 3) -> np.ndarray:
    """Integers of (sample, lead) between -3000 and 3000."""
    return np.random.default_rng(7).integers(-3000, 3000, (samples, leads))


def header(
    stored: np.ndarray,
    *,
    length: int | str | None = None,
    file: str = "rec.dat",
    layout: str = "16",
    first: Sequence[object] | None = None,
    sums: Sequence[int] | None = None,
) -> str:
    """Header text for `stored` (sample, lead), true in every field that is not given."""
    firsts = list(stored[0]) if first is None else first
    totals = [int(lead.sum()) & 0xFFFF for lead in stored.T] if sums is None else sums
    lines = [f"rec {stored.shape[1]} 500 {len(stored) if length is None else length}"]
    lines += [
        f"{file} {layout} 1000/mV 16 0 {a} {b} 0 {name}"
        for a, b, name in zip(firsts, totals, NAMES, strict=False)
    ]
    return "\n".join(lines) + "\n#Age: 60\n#Sex: Male\n#Dx: 1,2\n"


def dat(folder: Path, stored: np.ndarray, text: str | None = None, extra: bytes = b"") -> Path:
    """A header, by default the true one, and plain samples with `extra` bytes after them."""
    (folder / "rec.dat").write_bytes(stored.astype("<i2").tobytes() + extra)
    (folder / "rec.hea").write_text(header(stored) if text is None else text)
    return folder / "rec.hea"


def mat(folder: Path, stored: np.ndarray, text: str | None = None) -> Path:
    """A header and one 16-bit matrix `val` of (lead, sample) in a level 4 MAT file."""
    samples, leads = stored.shape
    head = struct.pack("<5i", 30, leads, samples, 0, 4) + b"val\0"
    (folder / "rec.mat").write_bytes(head + stored.astype("<i2").tobytes())
    (folder / "rec.hea").write_text(
        header(stored, file="rec.mat", layout="16+24") if text is None else text
    )
    return folder / "rec.hea"


def millivolts(stored: np.ndarray) -> np.ndarray:
    """What the reader must return for `stored`: (lead, sample), float32."""
    return (stored.T / 1000).astype(np.float32)
