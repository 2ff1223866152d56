"""The whole way of a set: CPU-seconds and memory of each command from raw files to the card.

    python -m benchmarks.build.whole [COUNT ...] [--workers 2]

Records are those of `benchmarks.build.records`. Each step is a command in a process of its own, its
start-up included. `per million` is the CPU-seconds of a million records, which stay the same where
growth is linear.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.build.records import MAPPING, make
from benchmarks.cpu import command_cost
from qoqdata import console


def main() -> None:
    """Measure sets of each size once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="*", default=[26_100, 261_000])
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    titles = ("records", "step", "CPU-seconds", "per million", "by the clock", "peak MB")
    for count in asked.counts:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["QOQDATA_SALT_FILE"] = str(Path(folder, "salt"))
            console.table(titles, _measure(Path(folder), count, asked.workers))


def _measure(
    folder: Path, count: int, workers: int
) -> list[tuple[str, str, float, float, float, float]]:
    raw, mapping, out = folder / "raw", folder / "mapping.yaml", folder / "set"
    make(raw, count)
    mapping.write_text(yaml.safe_dump(MAPPING))
    build = ["build", "image_table", "--raw", raw, "--mapping", mapping, "--out", out]
    build += ["--workers", workers, "--quiet"]
    steps: dict[str, list[object]] = {
        "build": build,
        "build, resumed": build,
        "curate": ["curate", out, "--quiet"],
        "stats": ["stats", out, "--prior", "--quiet"],
        "validate": ["validate", out, "--quiet"],
        "card": ["card", out, "--quiet"],
    }
    rows = []
    for step, command in steps.items():
        begin = time.perf_counter()
        cost = command_cost(command)
        wall = time.perf_counter() - begin
        million = 1e6 * cost.seconds / count
        rows.append((f"{count:,}", step, cost.seconds, million, wall, cost.peak / 1e6))
    return rows


if __name__ == "__main__":
    main()
