"""Processes that share a cache, fork, travel to other processes, or are killed."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import qoqdata
from qoqdata.dataset import Dataset
from tests.remote.servers import Site

SHARD = "set/data/films/train-00000.parquet"

READ = """
import sys
import qoqdata
dataset = qoqdata.open(sys.argv[1])
print("open", flush=True)
for shard in dataset.manifest.shards:
    assert dataset.files.local(shard).stat().st_size == shard.bytes
print(dataset.metadata().height, flush=True)
"""


def reader(site: Site) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", READ, f"{site.url}/set"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def parquet(cache: Path) -> list[Path]:
    return [path for path in (cache / "shards").glob("*/[!.]*") if path.is_file()]


def drafts(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*.tmp") if path.is_file()]


def test_a_reader_killed_in_a_download(site: Site, local: Dataset, cache: Path) -> None:
    """SIGKILL in the first body, then far into the second one; then another reader comes."""
    for done, cut in ((0, 1), (1, 100_000)):
        shard = local.manifest.shards[done]
        path = f"set/{shard.path}"
        site.stall, site.resume = {path: cut}, threading.Event()
        site.sent.clear()
        with reader(site) as process:
            while site.sent[path] < cut or not drafts(cache):
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
        site.resume.set()
        assert len(drafts(cache)) == 1
        whole = [one.bytes for one in local.manifest.shards[:done]]
        assert [file.stat().st_size for file in parquet(cache)] == whole
    site.stall = {}
    remote = qoqdata.open(f"{site.url}/set")
    for shard, file in zip(remote.manifest.shards, remote.paths, strict=True):
        assert file.read_bytes() == (local.root / shard.path).read_bytes()
    assert drafts(cache) == [] and not list((cache / "reserved").iterdir())


def test_one_download_for_several_processes(site: Site, local: Dataset) -> None:
    site.speed = 400_000.0
    running = [reader(site) for _ in range(2)]
    assert [process.communicate()[0] for process in running] == ["open\n12\n"] * 2
    assert [process.returncode for process in running] == [0, 0]
    assert {site.gets[f"set/{shard.path}"] for shard in local.manifest.shards} == {1}


def test_one_download_for_several_threads(site: Site, local: Dataset) -> None:
    site.speed = 400_000.0
    remote = qoqdata.open(f"{site.url}/set")
    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(remote.files.local, list(remote.manifest.shards) * 4))
    assert len(set(paths)) == 3
    assert {site.gets[f"set/{shard.path}"] for shard in local.manifest.shards} == {1}


def test_pickled(site: Site, local: Dataset) -> None:
    remote = qoqdata.open(f"{site.url}/set")
    remote.files.local(remote.manifest.shards[0])
    again = pickle.loads(pickle.dumps(remote))
    assert again == remote and again.where == remote.where
    assert again.kept().height == 11
    assert [path.stat().st_size for path in again.paths] == [
        shard.bytes for shard in local.manifest.shards
    ]


FORK = """
import os, sys, time
import qoqdata
dataset = qoqdata.open(sys.argv[1])
files, (first, second, third) = dataset.files, dataset.manifest.shards
def come(shard):
    files.prefetch([shard])
    for _ in range(1000):
        if files._cache.held(f"shards/{shard.sha256[:2]}/{shard.sha256}.parquet"):
            return True
        time.sleep(0.02)
path = files.local(first)
assert come(second)
child = os.fork()
if child == 0:
    code = 1
    try:
        # The parent's threads are not here; these are new ones.
        sizes = [files.local(shard).stat().st_size for shard in (first, second)]
        code = 0 if come(third) and sizes == [first.bytes, second.bytes] else 2
    finally:
        os._exit(code)
assert os.waitpid(child, 0)[1] == 0
from qoqdata.remote.cache import Cache, _evicted
assert not _evicted(path), "the child's end must not end what the parent holds"
dataset.files.release(first)
assert _evicted(path)
print("done")
"""


def test_forked(site: Site) -> None:
    command = [sys.executable, "-c", FORK, f"{site.url}/set"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ)
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
