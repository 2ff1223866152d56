"""What a build in parts costs beside one in a single command: CPU-seconds and memory of each step.

    python -m benchmarks.build.parts [COUNT ...] [--parts 4]

Records are those of `benchmarks.build.records`. Each step is a command in a process of its own,
with one worker, its start-up included: `plan`, each part, `finish`, and `build` for comparison. The
digests are the same, or this fails.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path

import yaml

from benchmarks.build.records import MAPPING, make
from benchmarks.cpu import command_cost
from qoqdata import console


def main() -> None:
    """Measure sets of each size once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="*", default=[26_100])
    parser.add_argument("--parts", type=int, default=4)
    asked = parser.parse_args()
    titles = ("records", "step", "CPU-seconds", "us a record", "peak MB")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["QOQDATA_SALT_FILE"] = str(Path(folder, "salt"))
        for count in asked.counts:
            console.table(titles, _measure(Path(folder), count, asked.parts))


def _measure(folder: Path, count: int, parts: int) -> list[tuple[str, str, float, float, float]]:
    raw, mapping = folder / f"raw{count}", folder / "mapping.yaml"
    make(raw, count)
    mapping.write_text(yaml.safe_dump(MAPPING))
    source = ["image_table", "--raw", raw, "--mapping", mapping, "--out"]
    shared, whole = folder / f"shared{count}", folder / f"whole{count}"
    one_worker = ["--workers", 1]
    steps: dict[str, list[list[object]]] = {
        "plan": [["plan", *source, shared]],
        f"{parts} parts": [
            ["build", "--part", f"{number}/{parts}", "--out", shared, *one_worker]
            for number in range(1, parts + 1)
        ],
        "finish": [["finish", "--out", shared]],
        "build": [["build", *source, whole, *one_worker]],
    }
    rows = []
    for step, commands in steps.items():
        spent = [command_cost(command) for command in commands]
        seconds, peak = sum(s for s, _ in spent), max(peak for _, peak in spent)
        rows.append((f"{count:,}", step, seconds, 1e6 * seconds / count, peak / 1e6))
    digests = {
        json.loads((out / "manifest.json").read_bytes())["digest"] for out in (shared, whole)
    }
    assert len(digests) == 1
    return rows


if __name__ == "__main__":
    main()
