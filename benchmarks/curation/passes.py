"""Passes over all records: CPU-seconds and memory at growing sizes, and how far they grow alike.

    python -m benchmarks.curation.passes --records 261000 652500 2610000

Sets of `large.write_large`, metadata alone; each pass in a process of its own. `per million` is the
CPU-seconds of a million records, which stay the same where growth is linear.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import qoqdata
from benchmarks.cpu import cpu_seconds
from benchmarks.curation.large import write_large
from qoqdata import console
from qoqdata.sources.catalogue import find_source

_TARGET = {
    "whole": "patient",
    "bounds": [
        {"by": "domain", "value": "ct", "at_least": 0.1},
        {"by": "label", "value": "Nodule", "at_least": 0.1},
        {"by": "sex", "value": "female", "at_least": 0.5},
    ],
    "balance": {"by": "domain", "shares": "equal"},
}


def _select(root: Path) -> None:
    records = len(qoqdata.open(root))
    qoqdata.select(root, {"size": records // 10, **_TARGET})
    qoqdata.unselect(root)


def _stats_anew(root: Path) -> None:
    shutil.rmtree(root / ".build" / "statistics", ignore_errors=True)
    qoqdata.stats(root)


#: In the order in which they run: what follows `stats` finds its tables.
PASSES: dict[str, Callable[[Path], object]] = {
    "stats": _stats_anew,
    "stats, nothing new": qoqdata.stats,
    "stats, one source new": lambda root: _without(root, "large_ct"),
    "validate --metadata": lambda root: qoqdata.validate(root, metadata_only=True),
    "card": qoqdata.card,
    "diff, nothing new": lambda root: qoqdata.diff(root, root),
    "select": _select,
}


def _without(root: Path, family: str) -> None:
    (root / ".build" / "statistics" / f"{family}.json").unlink()
    qoqdata.stats(root)


def _measured(name: str, root: Path) -> tuple[float, float]:
    seconds = cpu_seconds(lambda: PASSES[name](root))
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print CPU-seconds, CPU-seconds a million records, and GB of memory, by pass and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[261_000, 652_500, 2_610_000])
    asked = parser.parse_args()
    card = find_source("image_table").card
    context = multiprocessing.get_context("spawn")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for records in asked.records:
            root = Path(folder) / str(records)
            write_large(root, records, card)
            for name in PASSES:
                # A process of its own, whose peak is that of this pass alone.
                with ProcessPoolExecutor(1, context) as alone:
                    seconds, peak = alone.submit(_measured, name, root).result()
                per_million = f"{seconds / records * 1e6:.2f}"
                rows.append((name, f"{records:,}", f"{seconds:.1f}", per_million, f"{peak:.2f}"))
            shutil.rmtree(root)
    order = list(PASSES)
    rows.sort(key=lambda row: order.index(row[0]))
    console.table(("pass", "records", "CPU s", "per million", "GB"), rows)


if __name__ == "__main__":
    main()
