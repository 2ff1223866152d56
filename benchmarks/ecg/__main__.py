"""The whole command `qoqdata build` of ECG sources against a bare loop of wfdb.rdrecord.

    .venv/bin/python -m benchmarks.ecg [SOURCE...] [--files 400] [--runs 3]

Both go through the same made-up tree in the same run, each in a process of its own; figures are of
CPU-seconds (user and system, children too), the least of several runs. What a process costs before
its first recordings, with the memory that it then uses again, is measured on a tree of a hundred
and taken off on both sides. The loop reads
samples as physical units and keeps nothing. The build plans, reads headers and tables, checks
checksums, masks and limb leads, validates, digests and writes shards with every question of every
recording; a record is one question with all twelve leads.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.cpu import cpu_seconds
from qoqdata import console
from qoqdata.sources.catalogue import find_source

FEW = 100
#: What the simulators need to give recordings of 10 s, as the release has them or nearly so.
SOURCES: dict[str, Any] = {
    "cpsc2018": (10, 10),
    "georgia": (10, 10),
    "chapman_shaoxing": 10,
    "ptb_xl": 10,
    "mimic_iv_ecg": 10,
}


def main(
    sources: Annotated[list[str] | None, typer.Argument(help="By default all five.")] = None,
    files: Annotated[int, typer.Option(help="Recordings of each source.")] = 400,
    runs: Annotated[int, typer.Option(help="Runs, of which the least counts.")] = 3,
) -> None:
    """Measure every source."""
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["QOQDATA_SALT_FILE"] = str(root / "salt")
        for slug in sources or SOURCES:
            simulate = import_module(find_source(slug).module.removesuffix("source") + "simulate")
            for name, count in (("all", files), ("few", FEW)):
                simulate.simulate(root / name, count, seed=1, seconds=SOURCES[slug])
                if slug == "ptb_xl":  # what a build at 500 Hz does not read, the loop must not
                    shutil.rmtree(root / name / "records100")
            ours, records = _build(slug, root, files, runs)
            theirs = _each(
                lambda raw: [sys.executable, "-m", "benchmarks.ecg.bare_loop", str(raw)],
                root,
                files,
                runs,
            )
            rows.append((slug, 1 / theirs, 1 / ours, records / files / ours, theirs / ours))
            rows[-1] += (records / files * theirs / ours,)
            for name in ("all", "few"):
                shutil.rmtree(root / name)
    head = ("recordings", "records", "recordings / loop", "records / loop")
    console.table(("per CPU-second", "loop", *head), rows)


def _build(slug: str, root: Path, files: int, runs: int) -> tuple[float, int]:
    """CPU-seconds a recording of a build in one process, and how many records it wrote."""
    out = root / "out"

    def command(raw: Path) -> list[str]:
        shutil.rmtree(out, ignore_errors=True)
        paths = ["--raw", str(raw), "--out", str(out), "--workers", "0"]
        return [sys.executable, "-m", "qoqdata", "build", slug, *paths]

    seconds = _each(command, root, files, runs)
    _run(command(root / "all"))
    counts = json.loads((out / "manifest.json").read_text())["sources"][slug]["counts"]
    if counts["converted"] != files:
        raise SystemExit(f"{slug}: {counts['converted']} of {files} recordings were converted")
    return seconds, counts["records"]


def _each(command: Any, root: Path, files: int, runs: int) -> float:
    """CPU-seconds a recording, less what the command costs before the first."""
    spent = {}
    for name in ("few", "all"):
        calls = []
        for _ in range(runs):
            arguments = command(root / name)
            calls.append(cpu_seconds(lambda arguments=arguments: _run(arguments)))
        spent[name] = min(calls)
    return (spent["all"] - spent["few"]) / (files - FEW)


def _run(command: list[str]) -> None:
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(f"{' '.join(command)}\n{finished.stdout}{finished.stderr}")


if __name__ == "__main__":
    typer.run(main)
