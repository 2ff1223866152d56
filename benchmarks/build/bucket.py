"""What passes cost over a set in a bucket, beside those over its folder.

    python -m benchmarks.build.bucket [COUNT] [--shards 40]

Records are simulated ones of ham10000, which may leave. The store is an S3 server on loopback, in
a process of its own. Each step is a command in a process of its own, its start-up included; disk is
the most that lay in the cache at a time, which has room for four shards beside the metadata. The
files that the passes leave are the same in both places, or this fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import qoqdata
from benchmarks.cpu import command_cost
from qoqdata import console
from qoqdata.atomic import file_digest
from qoqdata.remote.store import StoreFolder

PORT = 5555
STORE = StoreFolder("s3://bench/set")
_SKIPPED = (".build/lease", ".build/lock", ".build/decisions.lock", ".build/release/")


def main() -> None:
    """Measure one set once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=8_000)
    parser.add_argument("--shards", type=int, default=40)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, _server():
        folder = Path(name)
        os.environ["QOQDATA_SALT_FILE"] = str(folder / "salt")
        os.environ["QOQDATA_CACHE"] = str(folder / "cache")
        local = _built(folder, asked.count, asked.shards)
        for path in local.rglob("*"):
            if path.is_file():
                STORE.put(path, path.relative_to(local).as_posix())
        manifest = qoqdata.open(local).manifest
        sizes = [shard.bytes for shard in manifest.shards]
        tables = sum(entry.bytes for entry in manifest.meta.values())
        os.environ["QOQDATA_CACHE_BYTES"] = str(4 * max(sizes) + tables)
        console.say(f"{len(sizes)} shards, {sum(sizes) / 1e6:.1f} MB; metadata {tables / 1e6:.1f}")
        titles = ("step", "where", "CPU-seconds", "peak MB", "most MB on disk")
        console.table(titles, list(_measured(folder, local)))
        files = {p.relative_to(local).as_posix(): p for p in local.rglob("*") if p.is_file()}
        here = {path: p for path, p in files.items() if not path.startswith(_SKIPPED)}
        there = {path for path in STORE.listing() if not path.startswith(_SKIPPED)}
        assert there == set(here)
        assert all(STORE.sha256(path) == file_digest(here[path]) for path in there)


def _built(folder: Path, count: int, shards: int) -> Path:
    raw = folder / "raw"
    qoqdata.simulate("ham10000", n=count, out=raw)
    sources = [{"source": "ham10000", "raw": str(raw)}]
    config = {"sources": sources, "shard_units": max(1, count // shards)}
    qoqdata.build(config=config, out=folder / "set", workers=1)
    return folder / "set"


def _measured(folder: Path, local: Path) -> Iterator[tuple[str, str, float, float, float]]:
    targets = {local: folder / "a", STORE.url: folder / "b"}
    for step in ("validate", "curate", "stats", "card", "publish"):
        for where, target in targets.items():
            options: dict[str, list[object]] = {"stats": ["--prior"], "publish": ["--to", target]}
            with _watched(folder / "cache") as most:
                seconds, peak = command_cost([step, where, *options.get(step, [])])
            place = "folder" if where == local else "bucket"
            yield step, place, seconds, peak / 1e6, max(most, default=0) / 1e6


@contextmanager
def _watched(folder: Path) -> Iterator[list[int]]:
    """The bytes below a folder, looked at a few times a second."""
    seen: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            sizes = 0
            for parent, _, names in os.walk(folder):
                for name in names:
                    try:
                        sizes += Path(parent, name).stat().st_blocks * 512
                    except FileNotFoundError:
                        continue
            seen.append(sizes)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


@contextmanager
def _server() -> Iterator[None]:
    """An S3 server on loopback with an empty bucket, known by the environment."""
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{PORT}",
        "AWS_ACCESS_KEY_ID": "some",
        "AWS_SECRET_ACCESS_KEY": "thing",
    }
    command = [sys.executable, "-m", "moto.server", "-p", str(PORT)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
    try:
        import fsspec

        for _ in range(100):
            try:
                fsspec.filesystem("s3", skip_instance_cache=True).mkdir("bench")
                break
            except OSError:
                time.sleep(0.2)
        yield
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    main()
