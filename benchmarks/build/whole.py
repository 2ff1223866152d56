"""The whole way of a set: CPU-seconds and memory of each command from raw files to the card.

    python -m benchmarks.build.whole [COUNT ...] [--share SHARE ...] [--workers 2]

A count makes that many records of `benchmarks.build.records`. A share makes that part of every
source of the collection `qoq_med` by its simulator: units in the proportions of complete copies,
24 at least; 0.185 makes the 2.6 million records of the whole. Each step is a command in a process
of its own, its start-up included, `curate` without looking for text in images; a step is told when
it ends, since the large sets take an hour. `per million` is the CPU-seconds of a million records,
which stay the same where growth is linear.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import yaml

import qoqdata
from benchmarks.build.records import MAPPING, make
from benchmarks.cpu import command_cost
from qoqdata import console
from qoqdata.collection.collection import load_collection

_FEWEST = 24

Command = list[object]


def main() -> None:
    """Measure sets of each size once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", type=int, nargs="*")
    parser.add_argument("--share", type=float, nargs="*", default=[])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="for the sets; a temporary one unless told")
    asked = parser.parse_args()
    counts = asked.counts or ([] if asked.share else [26_100, 261_000])
    for count in counts:
        _show(f"{count:,} images", lambda raw, n=count: _images(raw, n), asked)
    for share in asked.share:
        _show(f"{share:g} of qoq_med", lambda raw, part=share: _collection(raw, part), asked)


def _show(title: str, prepare: Callable[[Path], Command], asked: argparse.Namespace) -> None:
    titles = ("set", "step", "CPU-seconds", "per million", "by the clock", "peak MB")
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        os.environ["QOQDATA_SALT_FILE"] = str(Path(folder, "salt"))
        out = Path(folder, "set")
        source = prepare(Path(folder, "raw"))
        steps = list(_measure([*source, "--quiet"], out, asked.workers))
        counted = sum(entry.counts.records for entry in qoqdata.open(out).manifest.sources.values())
        title = f"{title}: {counted:,} records"
        rows = [(title, step, cpu, 1e6 * cpu / counted, *rest) for step, cpu, *rest in steps]
        console.table(titles, rows)


def _images(raw: Path, count: int) -> Command:
    make(raw, count)
    mapping = raw.with_suffix(".yaml")
    mapping.write_text(yaml.safe_dump(MAPPING))
    return ["image_table", "--raw", raw, "--mapping", mapping]


def _collection(raw: Path, share: float) -> Command:
    """Each source that has a simulator, of `share` of its units where its card counts them,
    else of its published questions."""
    simulated = set(qoqdata.simulated())
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        drawn = []
        for part in load_collection("qoq_med").parts:
            published = part.published.records if part.published else 0
            whole = qoqdata.cards()[part.source].expected.units or published
            if part.source in simulated:
                units = max(_FEWEST, round(share * whole))
                out = raw / part.source
                drawn.append(pool.submit(qoqdata.simulate, part.source, n=units, out=out))
        for one in drawn:
            one.result()
    return ["--config", "qoq_med", "--raw", raw]


def _measure(source: Command, out: Path, workers: int) -> Iterator[tuple[str, float, float, float]]:
    """Of each step: its name, CPU-seconds, seconds by the clock, and peak MB."""
    build = ["build", *source, "--out", out, "--workers", workers]
    steps: dict[str, Command] = {
        "plan": ["plan", *source, "--out", out.with_name("planned")],
        "build": build,
        "build, resumed": build,
        "curate": ["curate", out, "--no-burned-in", "--quiet"],
        "stats": ["stats", out, "--prior", "--quiet"],
        "validate": ["validate", out, "--quiet"],
        "card": ["card", out, "--quiet"],
    }
    for step, command in steps.items():
        begin = time.perf_counter()
        cost = command_cost(command)
        row = (step, cost.seconds, time.perf_counter() - begin, cost.peak / 1e6)
        console.complain("{}: {:.1f} CPU-s, {:.1f} s by the clock, {:.0f} MB".format(*row))
        yield row


if __name__ == "__main__":
    main()
