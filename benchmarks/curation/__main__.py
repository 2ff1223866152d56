"""Looking for copies: fingerprints by the million, and real images beside peers.

    python -m benchmarks.curation --images FOLDER --peer .venv-peers/bin/python

The peers' environment has `peers.txt`. CPU-seconds are user and system seconds. Thresholds were set
by the first half of the images, and the second half says what they are worth.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.curation import copies, words
from benchmarks.curation.by_peer import PEERS
from qoqdata import console


def main() -> None:
    """Print CPU-seconds of all pairs, then recall, precision and CPU-seconds on copies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=1_000_000, help="0: none")
    parser.add_argument("--images", type=Path, help="real images; without it, words only")
    parser.add_argument("--peer", help="a Python that has the peers")
    asked = parser.parse_args()
    if asked.words:
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
        for peer in PEERS if asked.peer else ():
            found[peer] = copies.peer(asked.peer, peer, raw)
        for half, title in enumerate(("thresholds set by", "held out")):
            _show(title, {who: copies.rates(one.pairs, raw, half) for who, one in found.items()})
    console.say(f"\n{len(images)} images, {len(copies.COPIES)} copies of each; both halves:")
    console.table(("", *found), [("CPU s", *(one.seconds for one in found.values()))])


def _show(title: str, found: dict[str, copies.Rates]) -> None:
    some = found.values()
    table: list[tuple[object, ...]] = [
        (copy, *(one.recall[copy] for one in some)) for copy in copies.COPIES
    ]
    table.append(("precision", *(one.precision for one in some)))
    table += [(what, *(getattr(one, what) for one in some)) for what in ("right", "wrong")]
    table.append(("of one lesion", *(one.same_lesion for one in some)))
    console.say()
    console.table((title, *found), table)


if __name__ == "__main__":
    main()
