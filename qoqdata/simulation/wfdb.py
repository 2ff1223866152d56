"""WFDB records of format 16, as plain samples or in a MATLAB file."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from qoqdata.simulation.mark import MARK, write_bytes

_GAIN = 1000
#: What format 16 stores where there is no sample.
_NO_SAMPLE = -32768


def write_wfdb(
    record_path: Path,
    signal_mv: np.ndarray,
    fs: float,
    leads: Sequence[str],
    comments: Sequence[str] = (),
    *,
    container: Literal["dat", "mat"] = "dat",
) -> None:
    """`record_path` with the suffixes `.hea` and `.dat` (or `.mat`, level 4, as in PhysioNet 2020).

    `signal_mv` is (leads, samples) in mV, NaN where there is none; 1000 steps a mV. `comments`
    follow the signals, one a line, such as "Dx: 426783006"; the last line of all is the mark.
    Raises ValueError for leads that are not as many as the signal's.
    """
    if len(leads) != len(signal_mv):
        raise ValueError(f"{len(leads)} names for {len(signal_mv)} leads")
    steps = np.clip(np.round(signal_mv * _GAIN), -32767, 32767)
    stored = np.where(np.isnan(steps), _NO_SAMPLE, steps).astype("<i2")
    name, file = record_path.name, f"{record_path.name}.{container}"
    layout = "16" if container == "dat" else "16+24"
    lines = [f"{name} {len(leads)} {fs:g} {stored.shape[1]}"]
    for lead, samples in zip(leads, stored, strict=True):
        total = int(samples.astype(np.int64).sum()) & 0xFFFF
        checksum = total - 0x10000 if total & 0x8000 else total
        lines.append(f"{file} {layout} {_GAIN}/mV 16 0 {samples[0]} {checksum} 0 {lead}")
    lines += [f"#{comment}" for comment in (*comments, MARK)]
    data = stored.T.tobytes()
    if container == "mat":
        data = struct.pack("<5i", 30, *stored.shape, 0, 4) + b"val\0" + data
    folder = record_path.parent
    write_bytes(folder / file, data)
    write_bytes(folder / f"{name}.hea", "".join(f"{line}\n" for line in lines).encode())
