"""What `qoqdata estimate` says beside what `qoqdata build` then takes, for made-up sources.

Both are run as a user runs them, by the command in a process of its own. The ratios are estimate
over build; the build's CPU time is that of all its processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from qoqdata import console

COUNTS = {"ham10000": 6000, "vindr_cxr": 600, "ptb_xl": 1200, "busi": 600, "hemorrhage": 60}


def main() -> None:
    """Simulate, estimate and build; one row each source set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--share", type=float, default=1.0, help="of the units")
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for slug, count in COUNTS.items():
            units = str(max(40, round(settings.share * count)))
            _qoqdata("simulate", slug, "--n", units, "--out", root / "raw" / slug, "--quiet")
        common = [*COUNTS, "--raw", root / "raw", "--workers", settings.workers]
        began = time.perf_counter()
        seconds = ("--seconds", settings.seconds)
        text = _qoqdata("estimate", *common, *seconds, "--json", codes=(0, 1))
        cost = time.perf_counter() - began
        said = json.loads(text)
        before, began = os.times(), time.perf_counter()
        _qoqdata("build", *common, "--out", root / "set", "--json", "--quiet", codes=(0, 1))
        wall, after = time.perf_counter() - began, os.times()
        cpu = after.children_user + after.children_system
        cpu -= before.children_user + before.children_system
        size = sum(path.stat().st_size for path in (root / "set").rglob("*") if path.is_file())
    rows = [
        _row("CPU seconds", said["cpu_seconds"], cpu),
        _row("bytes", said["bytes"], size),
        _row("seconds by the clock", said["wall_seconds"][str(settings.workers)], wall),
    ]
    console.table(("of the build", "estimate", "between", "and", "measured", "ratio"), rows)
    console.say(f"\nthe estimate itself took {cost:.1f} s by the clock")


def _row(name: str, said: dict[str, float], measured: float) -> tuple[Any, ...]:
    ratio = f"{said['value'] / measured:.2f}"
    return (
        name,
        round(said["value"], 1),
        round(said["low"], 1),
        round(said["high"], 1),
        round(measured, 1),
        ratio,
    )


def _qoqdata(*arguments: object, codes: tuple[int, ...] = (0,)) -> str:
    command = [sys.executable, "-m", "qoqdata", *map(str, arguments)]
    run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if run.returncode not in codes:
        raise SystemExit(f"{' '.join(command)} ended with {run.returncode}")
    return run.stdout


if __name__ == "__main__":
    main()
