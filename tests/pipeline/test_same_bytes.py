"""One data set, whoever builds it: its manifest has one digest."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml

import qoqdata
from qoqdata.pipeline.config import SourceRequest
from qoqdata.remote.store import StoreFolder
from tests.remote.proxy import empty_s3

pytestmark = pytest.mark.slow
Films = Callable[..., SourceRequest]
COMMAND = "from qoqdata.cli.main import run; run()"
#: Of a chunk, six films: enough chunks for something to be lost among them.
FILMS, UNITS = 96, 6


class Site:
    """Raw films in a folder and in a bucket, and commands that build them in processes."""

    def __init__(self, folder: Path, films: SourceRequest) -> None:
        self.folder = folder
        (folder / "salt").write_text("ab" * 32)
        system = fsspec.filesystem("s3", skip_instance_cache=True)
        for bucket in ("raw-films", "sets"):
            system.mkdir(bucket)
        system.put(f"{films.raw}/", "raw-films/all/", recursive=True)
        for name, raw in (("folder", str(films.raw)), ("bucket", "s3://raw-films/all")):
            source = films.model_dump(mode="json") | {"raw": raw}
            content = {"name": "films", "sources": [source], "shard_units": UNITS}
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))

    def run(self, *words: Any) -> subprocess.Popen[bytes]:
        log = (self.folder / "log").open("ab")
        arguments = [*map(str, words), "--salt-file", str(self.folder / "salt")]
        command = [sys.executable, "-c", COMMAND, *arguments]
        return subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log)

    def done(self, *words: Any) -> None:
        assert self.run(*words).wait() == 0, (self.folder / "log").read_text()[-2000:]

    def build(self, name: str, raw: str, *words: Any) -> Any:
        out = f"s3://sets/{name}" if name.startswith("bucket") else self.folder / name
        self.done("build", "--config", self.folder / f"{raw}.yaml", "--out", out, *words)
        return out


@pytest.fixture
def site(films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with empty_s3() as (host, port):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "some")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "thing")
        monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
        yield Site(tmp_path, films(FILMS))


def receipts(out: Any) -> int:
    if str(out).startswith("s3://"):
        return len(StoreFolder(str(out)).listing(".build/receipts"))
    return len(list(Path(out).glob(".build/receipts/*/*.json")))


def wait_for(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> bool:
    """Whether it came to that before the process ended."""
    while not ready():
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    return True


def killed_when(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> bool:
    if not wait_for(process, ready):
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def parts_in_disorder(site: Site, raw: str, out: Any) -> None:
    """Parts of two divisions in random order, each killed in the middle, and repeated."""
    chance = random.Random(raw)
    site.done("plan", "--config", site.folder / f"{raw}.yaml", "--out", out)
    parts = [f"{number}/{of}" for of in (2, 3) for number in range(1, of + 1)]
    chance.shuffle(parts)
    kills = 0
    for place, part in enumerate(parts):
        words = ("build", "--part", part, "--out", out, "--workers", (1, 2, 4)[place % 3])
        least = receipts(out) + 1
        kills += killed_when(site.run(*words), lambda least=least: receipts(out) >= least)
    assert kills >= 2
    for part in ("2/2", "1/2", "2/2"):
        site.done("build", "--part", part, "--out", out, "--workers", 2)
    site.done("finish", "--out", out)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A node on this machine that spills nothing to disk; the tests add another, and lose it."""
    pytest.importorskip("ray", reason="the ray engine needs qoqdata[ray]")
    import ray
    from ray.cluster_utils import Cluster

    unspilled = {"automatic_object_spilling_enabled": False}
    made = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "_system_config": unspilled}
    )
    yield made
    ray.shutdown()
    made.shutdown()


def ray_with_losses(site: Site, cluster: Any, raw: str, out: Any) -> None:
    """A worker, a raylet and the driver killed in turn; then the command again."""
    words = ("build", "--config", site.folder / f"{raw}.yaml", "--out", out, "--engine", "ray")
    words = (*words, "--address", cluster.address)
    lost = cluster.add_node(num_cpus=2)
    first = site.run(*words)
    assert wait_for(first, lambda: receipts(out) >= 1)
    assert kill_a_worker()
    assert wait_for(first, lambda: receipts(out) >= 3)
    cluster.remove_node(lost, allow_graceful=False)  # Its raylet gets SIGKILL.
    assert killed_when(first, lambda: receipts(out) >= 5)
    site.done(*words)


def kill_a_worker() -> bool:
    """One process of Ray's that runs a task of ours."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if words.startswith(b"ray::_convert"):
            os.kill(int(path.parent.name), signal.SIGKILL)
            return True
    return False


def test_one_digest(site: Site) -> None:
    """1, 2 and 4 workers and parts, from a folder and a bucket, into a folder and a bucket."""
    sets = [
        site.build("one", "folder", "--workers", 1),
        site.build("two", "bucket", "--workers", 2),
        site.build("bucket-four", "folder", "--workers", 4),
    ]
    for name, raw in (("parts", "bucket"), ("bucket-parts", "folder")):
        out = f"s3://sets/{name}" if name.startswith("bucket") else site.folder / name
        parts_in_disorder(site, raw, out)
        sets.append(out)
    found = {str(out): qoqdata.open(out).manifest.digest for out in sets}
    assert len(set(found.values())) == 1, json.dumps(found, indent=1)


def test_one_digest_on_ray(site: Site, cluster: Any) -> None:
    wanted = qoqdata.open(site.build("one", "folder", "--workers", 1)).manifest.digest
    for name, raw in (("ray", "bucket"), ("bucket-ray", "folder")):
        out = f"s3://sets/{name}" if name.startswith("bucket") else site.folder / name
        ray_with_losses(site, cluster, raw, out)
        assert qoqdata.open(out).manifest.digest == wanted
