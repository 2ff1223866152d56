"""Readers against peers: files per CPU-second in one run, and the ratios.

Each contender reads each set in a process of its own, so that no one pays for the heap and the
threads that another left behind.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.readers.dicom_contenders import CODECS, CONTENDERS, PARTS, PIXELS, qoqdata
from benchmarks.readers.dicom_sets import make_sets
from benchmarks.readers.signals import CLIPS, ECGS, make_clips, make_ecgs
from benchmarks.readers.speed import share, speed
from qoqdata import console


def main() -> None:
    """Measure every contender on every set, one core, best of three after a warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _dicom(make_sets(root / "dicom"))
        _signals("clips", CLIPS, make_clips(root / "clips"))
        _signals("ECGs", ECGS, make_ecgs(root / "ecgs"))


def _dicom(sets: dict[str, list[Path]]) -> None:
    speeds = {
        name: {title: speed(call, paths) for title, paths in sets.items()}
        for name, call in (CONTENDERS | PARTS).items()
    }
    titles = list(sets)
    rows = [(name, *by_set.values()) for name, by_set in speeds.items()]
    console.table(("images per CPU-second", *titles), rows)
    console.say()
    ours = speeds["qoqdata"]
    ratios = [
        (f"qoqdata / {name}", *(_ratio(ours[title], speeds[name][title]) for title in titles))
        for name in CONTENDERS
        if name != "qoqdata"
    ]
    console.table(("ratio", *titles), ratios)
    console.say()
    inside = {
        "inside decoder and encoder": CODECS,
        "and pixel read and grey table": (*CODECS, *PIXELS),
    }
    shares = [
        (name, *(share(qoqdata, paths, functions) for paths in sets.values()))
        for name, functions in inside.items()
    ]
    console.table(("share of qoqdata's time", *titles), shares)


def _signals(title: str, calls: dict[str, Callable[[Path], object]], paths: list[Path]) -> None:
    speeds = {name: speed(call, paths) for name, call in calls.items()}
    ours = speeds["qoqdata"]
    rows = [(name, found, _ratio(ours, found)) for name, found in speeds.items()]
    console.say()
    console.table((f"{title} per CPU-second", "speed", "qoqdata / it"), rows)


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None else ours / theirs


if __name__ == "__main__":
    main()
