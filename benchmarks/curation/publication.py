"""What the search for raw keys costs before a release leaves: CPU-seconds and memory at growing
sizes.

    python -m benchmarks.curation.publication --records 26100 261000

The metadata of sets of `large.write_large`, with one and a half raw keys a study, none of which
stands in them. Each size in a process of its own; `per million` stays the same where growth is
linear.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.cpu import cpu_seconds
from benchmarks.curation.large import write_large
from qoqdata import console
from qoqdata.publication.key_search import key_search
from qoqdata.publication.privacy import Secrets, scan_outgoing
from qoqdata.records.identity import Salt
from qoqdata.records.raw_keys import pack
from qoqdata.sources.catalogue import find_source

_SALT = Salt(b"a salt of thirty-two bytes, used")


def _measured(records: int) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "set"
        write_large(root, records, find_source("image_table").card)
        studies = records * 10 // 13
        keys = [f"patient{n // 2:07}" for n in range(0, studies, 2)]
        keys += [f"s{50_000_000 + n}" for n in range(studies)]
        entries = pack(keys, _SALT)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        found: list[object] = []

        def search() -> None:
            secrets = Secrets({}, key_search(entries, _SALT, frozenset()), frozenset(), frozenset())
            found.extend(scan_outgoing(root / "meta", secrets))

        seconds = cpu_seconds(search)
    assert not found
    return seconds, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Print CPU-seconds, those a million records, and GB before and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[26_100, 261_000])
    context = multiprocessing.get_context("spawn")
    rows = []
    for records in parser.parse_args().records:
        with ProcessPoolExecutor(1, context) as alone:
            seconds, before, after = alone.submit(_measured, records).result()
        million = f"{seconds / records * 1e6:.1f}"
        rows.append((f"{records:,}", f"{seconds:.1f}", million, f"{before:.2f}", f"{after:.2f}"))
    console.table(("records", "CPU s", "per million", "GB before", "GB"), rows)


if __name__ == "__main__":
    main()
