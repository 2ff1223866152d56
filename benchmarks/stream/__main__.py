"""The stream against peers: records per CPU-second, written, read raw and read decoded.

    python -m benchmarks.stream --peers .venv-stream/bin/python   (see benchmarks/stream/peers.txt)

CPU-seconds are user and system seconds of the process and its children, without imports. Reading is
the best of three shuffled epochs after one that warms the file cache: ours through threads, peers
through two DataLoader workers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import cv2

from benchmarks.cpu import best
from benchmarks.stream import image_files, ours
from qoqdata import console
from qoqdata.dataset import open_dataset

PEERS = ("datasets streaming", "webdataset", "mosaicml-streaming", "litdata")
TASKS = ("write", "raw", "decoded", "OpenCV")
Speeds = dict[str, float | None]


def main() -> None:
    """Measure ourselves in this process and each peer in its own; print speeds and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=8000)
    parser.add_argument("--peers", help="a Python that has the peers; without it, only ourselves")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image_files.make(folder / "images", asked.records)
        table = _ours(folder, asked.records)
        for peer in PEERS if asked.peers else ():
            table[peer] = _peer(asked.peers, peer, folder)
        _print(table)
        console.say(
            f"first record of a cold set of 100 shards: {_first(folder, asked.records):.2f} s"
        )


def _ours(folder: Path, records: int) -> dict[str, Speeds]:
    out = folder / "ours"
    rows = ours.rows_of(folder / "images")
    plain = records / best(lambda: ours.write_plain(rows, folder / "plain"))
    durable = records / best(lambda: ours.write_plain(rows, folder / "plain", durable=True))
    table: dict[str, Speeds] = {
        "pyarrow, plain": {"write": plain},
        "pyarrow, fsync and sha256": {"write": durable},
    }
    table["qoqdata, in process"] = {"write": records / best(lambda: ours.write(rows, out))}
    for title, threads in (("qoqdata, in process", 0), ("qoqdata, 2 threads", 2)):
        speeds = table.setdefault(title, {})
        speeds["raw"] = records / best(ours.raw(out, threads=threads))
        speeds["decoded"] = records / best(ours.decoded(out, threads=threads))
    return table


def _peer(python: str, peer: str, folder: Path) -> Speeds:
    out = folder / peer.split()[0]
    speeds: Speeds = {}
    for task in TASKS:
        script = str(Path(__file__).with_name("peers.py"))
        command = [python, script, peer, task, str(folder / "images"), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            console.complain(f"{peer}, {task}: {done.stderr.strip().splitlines()[-1]}")
            speeds[task] = None
            continue
        cost = json.loads(done.stdout.strip().splitlines()[-1])
        speeds[task] = cost["records"] / cost["seconds"]
    return speeds


def _print(table: dict[str, Speeds]) -> None:
    head = ("records per CPU-second", "write", "raw", "decoded", "decoded by OpenCV")
    console.table(head, [(name, *(s.get(task) for task in TASKS)) for name, s in table.items()])
    threads = table["qoqdata, 2 threads"]
    rows = [
        (
            f"qoqdata, 2 threads / {name}",
            _over(table["qoqdata, in process"].get("write"), speeds.get("write")),
            _over(threads.get("raw"), speeds.get("raw")),
            _over(threads.get("decoded"), speeds.get("decoded")),
            _over(threads.get("decoded"), speeds.get("OpenCV")),
        )
        for name, speeds in table.items()
        if not name.startswith("qoqdata")
    ]
    console.say()
    console.table(("ratio", *head[1:]), rows)


def _over(mine: float | None, theirs: float | None) -> float | None:
    return None if mine is None or theirs is None else mine / theirs


def _first(folder: Path, records: int) -> float:
    """Seconds from opening a set of 100 shards to its first record, wall clock."""
    out = folder / "hundred"
    ours.write(ours.rows_of(folder / "images"), out, rows_a_shard=-(-records // 100))
    begin = time.perf_counter()
    stream = open_dataset(out).stream(columns=("id", "images", "answer"))
    next(iter(stream))
    seconds = time.perf_counter() - begin
    stream.close()
    return seconds


if __name__ == "__main__":
    main()
