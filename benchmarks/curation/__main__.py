"""Looking for copies: fingerprints by the million, and real images beside a peer.

    python -m benchmarks.curation --images FOLDER --peer .venv-peers/bin/python

The peer's environment has imagehash. CPU-seconds are user and system seconds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.curation import copies, words
from qoqdata import console


def main() -> None:
    """Print CPU-seconds of all pairs, then recall, precision and CPU-seconds on copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=1_000_000)
    parser.add_argument("--images", type=Path, help="real images; without it, words only")
    parser.add_argument("--peer", help="a Python that has imagehash")
    asked = parser.parse_args()
    sets = words.word_sets(asked.words)
    rows = [(name, len(one), *words.pairs_of(one)) for name, one in sets.items()]
    console.table(("fingerprints", "distinct", "pairs within 6", "CPU s"), rows)
    if asked.images is None:
        return
    images = list(copies.real_images(asked.images))
    with tempfile.TemporaryDirectory() as name:
        raw = Path(name) / "raw"
        copies.write_copies(images, raw)
        found = {"ours": copies.ours(raw, Path(name) / "set")}
        if asked.peer:
            found["imagehash"] = copies.imagehash(asked.peer, raw)
    console.say(f"\n{len(images)} images, {len(copies.COPIES)} copies of each")
    table = [(copy, *(one[0][copy] for one in found.values())) for copy in copies.COPIES]
    table.append(("precision", *(one[1] for one in found.values())))
    table.append(("CPU s", *(one[2] for one in found.values())))
    console.table(("copy found", *found), table)


if __name__ == "__main__":
    main()
