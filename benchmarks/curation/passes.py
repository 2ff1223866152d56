"""Passes over all records: CPU-seconds and memory at growing sizes, and how far they grow alike.

    python -m benchmarks.curation.passes --records 261000 652500 2610000

Sets of `large.write_large`, with few pixels; each pass in a process of its own. `per million` is
the CPU-seconds of a million records, which stay the same where growth is linear. Of `curate`, which
has to find all copies that were planted, the seconds in which candidates were read and decoded are
told apart; text burned into images is not looked for.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import process_time
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl

import qoqdata
from benchmarks.cpu import cpu_seconds
from benchmarks.curation.large import write_large
from benchmarks.curation.shown import Planted
from qoqdata import console
from qoqdata.curation.audit.shift import prior_shifts
from qoqdata.curation.details import ImageViews
from qoqdata.curation.proof import shared_keys
from qoqdata.sources.catalogue import find_source

#: Beside the set: what copies it has.
_PLANTED = "planted.json"
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


def _curate(root: Path) -> None:
    """Every copy that was planted is found, or there is no figure. Raises AssertionError."""
    found = qoqdata.curate(root, burned_in=False)
    planted = Planted(**json.loads((root / _PLANTED).read_text()))
    assert found.leaks is not None
    repeats = found.duplicates.filter(pl.col("outcome") == "dropped").height
    assert repeats == planted.repeats, (repeats, planted)
    leaks = found.leaks["id"].n_unique()
    assert leaks >= planted.equal + planted.alike, (leaks, planted)


def _shifts(root: Path) -> None:
    columns = ["source", "task", "kind", "split", "study", "answer", "options"]
    prior_shifts(qoqdata.open(root).kept(columns))


#: In the order in which they run: what follows `stats` finds its tables.
PASSES: dict[str, Callable[[Path], object]] = {
    "curate": _curate,
    "keys in two splits": lambda root: shared_keys(qoqdata.open(root)),
    "prior shifts": _shifts,
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


def _measured(name: str, root: Path) -> tuple[float, float, float]:
    """CPU-seconds, those of them in which candidates were read and decoded, and GB."""
    looked, read = [0.0], ImageViews.prepare

    def timed(views: ImageViews[Any], numbers: np.ndarray) -> None:
        before = process_time()
        read(views, numbers)
        looked[0] += process_time() - before

    with patch.object(ImageViews, "prepare", timed):
        seconds = cpu_seconds(lambda: PASSES[name](root))
    return seconds, looked[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print CPU-seconds, CPU-seconds a million records, and GB of memory, by pass and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[261_000, 652_500, 2_610_000])
    parser.add_argument("--passes", nargs="+", default=list(PASSES), choices=list(PASSES))
    asked = parser.parse_args()
    card = find_source("image_table").card
    context = multiprocessing.get_context("spawn")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for records in asked.records:
            root = Path(folder) / str(records)
            planted = write_large(root, records, card)
            (root / _PLANTED).write_text(json.dumps(planted._asdict()))
            for name in asked.passes:
                # A process of its own, whose peak is that of this pass alone.
                with ProcessPoolExecutor(1, context) as alone:
                    seconds, looked, peak = alone.submit(_measured, name, root).result()
                per_million = f"{seconds / records * 1e6:.2f}"
                figures = f"{seconds:.1f}", f"{looked:.1f}", per_million, f"{peak:.2f}"
                rows.append((name, f"{records:,}", *figures))
            shutil.rmtree(root)
    order = list(PASSES)
    rows.sort(key=lambda row: order.index(row[0]))
    console.table(("pass", "records", "CPU s", "of them pixels", "per million", "GB"), rows)


if __name__ == "__main__":
    main()
