"""The whole command `qoqdata build` against peers, on the same raw folders in one run.

    .venv-peers/bin/python -m benchmarks.build [--files 200] [--runs 3]

Each figure is of a whole command in a process of its own: images per CPU-second (user and system,
its children too), the least of several runs. What a command costs before its first image is
measured on a folder of two files, taken off on every side, and stated. `qoqdata build` runs in
one process (`--workers 0`), as its peers do, and plans, digests, validates and writes shards.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.build.raw_sets import SETS, write_set
from benchmarks.cpu import cpu_seconds
from qoqdata import console

FEW = 2
OURS = {"training": ("--storage", "training"), "native": ("--storage", "native")}
PEERS = ("dicom2jpg", "plain_loop")


@dataclass(frozen=True)
class Cost:
    """CPU-seconds an image and before the first one, and stored bytes an image."""

    image: float
    start: float
    size: float


def main(
    files: Annotated[int, typer.Option(help="Files of each set.")] = 200,
    runs: Annotated[int, typer.Option(help="Runs, of which the least counts.")] = 3,
) -> None:
    """Measure every contender on every set."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    costs: dict[str, dict[str, Cost]] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["QOQDATA_SALT_FILE"] = str(root / "salt")
        for title, source, mapping, shape in SETS:
            for name, count in (("all", files), ("few", FEW)):
                write_set(root / name, count, shape)
            (root / "mapping.yaml").write_text(mapping)
            for contender in (*OURS, *PEERS):
                if contender == "dicom2jpg" and shape is None:
                    continue
                cost = _cost(contender, source, root, files=files, runs=runs)
                costs.setdefault(contender, {})[title] = cost
            for name in ("all", "few"):
                shutil.rmtree(root / name)
    _report(costs, files)


def _cost(contender: str, source: str, root: Path, *, files: int, runs: int) -> Cost:
    out = root / "out"
    seconds = {}
    for name in ("few", "all"):
        spent = []
        for _ in range(runs):
            shutil.rmtree(out, ignore_errors=True)
            command = _command(contender, source, root, root / name, out)
            spent.append(cpu_seconds(lambda command=command: _run(command)))
        seconds[name] = min(spent)
    stored = out / "data" if contender in OURS else out
    size = sum(path.stat().st_size for path in stored.rglob("*") if path.is_file())
    image = (seconds["all"] - seconds["few"]) / (files - FEW)
    return Cost(image, seconds["few"] - FEW * image, size / files)


def _command(contender: str, source: str, root: Path, raw: Path, out: Path) -> list[str]:
    if contender not in OURS:
        return [sys.executable, "-m", "benchmarks.build.contenders", contender, str(raw), str(out)]
    settings = ["--mapping", str(root / "mapping.yaml"), *OURS[contender], "--workers", "0"]
    paths = ["--raw", str(raw), "--out", str(out)]
    return [sys.executable, "-m", "qoqdata", "build", source, *paths, *settings]


def _run(command: list[str]) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"{' '.join(command)}\n{finished.stdout}{finished.stderr}")


def _report(costs: dict[str, dict[str, Cost]], files: int) -> None:
    titles = [title for title, *_ in SETS]

    def table(what: str, figures: dict[str, dict[str, float]]) -> None:
        rows = [(name, *map(by_set.get, titles)) for name, by_set in figures.items()]
        console.table((what, *titles), rows)
        console.say()

    def each(figure: str) -> dict[str, dict[str, float]]:
        return {
            name: {title: getattr(cost, figure) for title, cost in by_set.items()}
            for name, by_set in costs.items()
        }

    seconds = each("image")
    speeds = {n: {t: 1 / value for t, value in by_set.items()} for n, by_set in seconds.items()}
    table(f"images per CPU-second, of {files}", speeds)
    table(
        "ratio",
        {
            f"{ours} / {peer}": {
                title: value / speeds[peer][title]
                for title, value in speeds[ours].items()
                if title in speeds[peer]
            }
            for ours in OURS
            for peer in PEERS
        },
    )
    table(
        "stored kB an image",
        {n: {t: value / 1000 for t, value in by_set.items()} for n, by_set in each("size").items()},
    )
    table("CPU-seconds before the first image", each("start"))


if __name__ == "__main__":
    typer.run(main)
