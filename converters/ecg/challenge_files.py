"""Made-up recordings in the form of the Challenges, for the simulators of their collections."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.simulation import ecg, write_text, write_wfdb

FS = 500
#: Codes that are frequent in all collections of this form; a recording has one of the first.
RHYTHMS = ("426783006", "426177001", "427084000", "427393009", "164889003", "164890007")
FINDINGS = ("164934002", "59931005", "270492004", "59118001", "39732003", "284470004", "164873001")


@dataclass(frozen=True)
class Made:
    """A recording to be made up; age and sex are drawn where they are None.

    `fault`: its lead V6 ends early (gap), it has the signal of the recording before it (twin), the
    line break after its record line is lost (joined), its header states 4880 steps a mV rather
    than 1000 (gain), half of its signal file is lost (cut), all of it (no_signal), or its header
    too, while the index names it (lost). `record` is the name in the header where that is another,
    `place` the path where the number does not tell it.
    """

    codes: Sequence[str]
    fault: Literal["gap", "twin", "joined", "gain", "cut", "no_signal", "lost"] | None = None
    age: str | None = None
    sex: str | None = None
    record: str | None = None
    place: str | None = None


def draw(rng: np.random.Generator) -> Made:
    """A recording with a rhythm and up to three findings."""
    findings = rng.choice(FINDINGS, rng.integers(0, 4), replace=False)
    return Made([str(rng.choice(RHYTHMS)), *map(str, findings)])


def write_tree(
    root: Path,
    names: Iterable[str],
    recordings: Iterable[Made],
    rng: np.random.Generator,
    *,
    seconds: tuple[float, float],
) -> None:
    """Headers and .mat files below `root`, and the RECORDS of each folder.

    `names` are paths below `root` for the recordings without a place; `seconds` are the shortest
    and the longest. Twelve leads at 500 Hz.
    """
    free = iter(names)
    stems: list[Path] = []
    recordings = list(recordings)
    for made in recordings:
        stem = root / (made.place or next(free))
        length = rng.uniform(*seconds)
        signal = _signal(stems[-1]) if made.fault == "twin" else ecg(rng, FS, length, TWELVE)
        _write(stem, made, signal, rng)
        stems.append(stem)
    for folder in sorted({stem.parent for stem in stems}):
        write_text(folder / "RECORDS", _text(s.name for s in stems if s.parent == folder))
    for stem, made in zip(stems, recordings, strict=True):
        if made.fault in ("no_signal", "lost"):
            stem.with_suffix(".mat").unlink()
        if made.fault == "lost":
            stem.with_suffix(".hea").unlink()


def _write(stem: Path, made: Made, signal: np.ndarray, rng: np.random.Generator) -> None:
    if made.fault == "gap":
        signal[-1, signal.shape[1] // 2 :] = math.nan
    comments = {
        "Age": made.age or rng.integers(18, 95),
        "Sex": made.sex or rng.choice(("Female", "Male")),
        "Dx": ",".join(made.codes) or "Unknown",
        "Rx": "Unknown",
        "Hx": "Unknown",
        "Sx": "Unknown",
    }
    lines = [f"{name}: {value}" for name, value in comments.items()]
    write_wfdb(stem, signal, FS, TWELVE, lines, container="mat")
    header, matrix = stem.with_suffix(".hea"), stem.with_suffix(".mat")
    if made.fault == "joined":
        first, second, *rest = header.read_text().splitlines()
        first = first.replace(stem.name, made.record or stem.name)
        write_text(header, _text([f"{first} {second}", *rest]))
    if made.fault == "gain":
        write_text(header, header.read_text().replace(" 1000/mV ", " 4880/mV "))
    if made.fault == "cut":
        matrix.write_bytes(matrix.read_bytes()[: matrix.stat().st_size // 2])


def _signal(stem: Path) -> np.ndarray:
    """The signal of a whole recording, in mV, from its matrix of one column a sample."""
    steps = np.frombuffer(stem.with_suffix(".mat").read_bytes()[24:], "<i2")
    return steps.reshape(-1, len(TWELVE)).T / 1000


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
