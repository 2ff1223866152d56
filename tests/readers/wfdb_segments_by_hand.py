"""WFDB records of several segments written by hand: segments of format 16, layouts, masters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

FS = 250


def write_segment(
    folder: Path,
    name: str,
    leads: Mapping[str, np.ndarray],
    *,
    units: Mapping[str, str] | None = None,
    gain: float = 100,
    fs: float = FS,
) -> None:
    """`name`.hea and `name`.dat with the stored integers of each lead; mV where `units` is silent.

    A unit of "" is not written, and neither is the slash before it.
    """
    stored = np.stack(list(leads.values()), 1)
    lines = [f"{name} {len(leads)} {fs:g} {len(stored)}"]
    for lead, samples in leads.items():
        unit = (units or {}).get(lead, "mV")
        calibration = f"{gain:g}/{unit}" if unit else f"{gain:g}"
        total = int(samples.sum()) & 0xFFFF
        lines.append(f"{name}.dat 16 {calibration} 16 0 {samples[0]} {total} 0 {lead}")
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.dat").write_bytes(stored.astype("<i2").tobytes())


def write_layout(folder: Path, name: str, units: Mapping[str, str]) -> None:
    """A layout segment: null signals of no length."""
    lines = [f"{name} {len(units)} {FS} 0"]
    lines += [f"~ 0 100/{unit} 16 0 0 0 0 {lead}" for lead, unit in units.items()]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")


def write_master(
    folder: Path,
    name: str,
    segments: Sequence[tuple[str, int]],
    signals: int,
    *,
    length: int | None = None,
    comments: Sequence[str] = (),
) -> Path:
    """The header of a record; `length` is the true one where it is not given."""
    total = sum(part for _, part in segments) if length is None else length
    lines = [f"{name}/{len(segments)} {signals} {FS} {total}"]
    lines += [f"{segment} {part}" for segment, part in segments]
    lines += [f"#{comment}" for comment in comments]
    path = folder / f"{name}.hea"
    path.write_text("\n".join(lines) + "\n")
    return path
