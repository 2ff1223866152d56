"""A release of a set in a bucket: that of its folder, with a few shards at a time on this disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest

import qoqdata
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError
from qoqdata.publication import hub, privacy
from qoqdata.remote import faults
from qoqdata.remote.store import StoreFolder
from qoqdata.suite.examples import SALT
from tests.publication import hub_server
from tests.publication.hub_server import TOKEN
from tests.publication.test_hub import REPO
from tests.publication.test_staging import drop
from tests.remote.proxy import bucket

URL = "memory://sets/mixed"
pytestmark = pytest.mark.usefixtures("salt_and_cache")
MEMORY = fsspec.filesystem("memory").__class__


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "WAITS", (0.0, 0.0))


@pytest.fixture
def folder(mixed: Dataset, tmp_path: Path) -> Path:
    """A set of which a record was dropped, statistics and success rates among its tables."""
    root = Path(shutil.copytree(mixed.root, tmp_path / "folder" / "mixed"))
    ids = mixed.metadata().filter(source="ptb_xl")["id"].sort()
    drop(open_dataset(root), [ids[0]])
    qoqdata.curate(root)
    qoqdata.stats(root, prior=True)
    return root


def send(root: Path, store: StoreFolder) -> None:
    for path in root.rglob("*"):
        if path.is_file():
            store.put(path, path.relative_to(root).as_posix())


@pytest.fixture
def stored(folder: Path) -> Iterator[StoreFolder]:
    store = StoreFolder(URL)
    send(folder, store)
    yield store
    fsspec.filesystem("memory").rm("/sets", recursive=True)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[hub_server.Hub]:
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with hub_server.serving() as serving:
        # Clients take the address when they are imported; the command of another process does.
        monkeypatch.setenv("HF_ENDPOINT", serving.url)
        monkeypatch.setattr(hub, "Hub", partial(hub.Hub, endpoint=serving.url))
        yield serving


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def on_hub(server: hub_server.Hub) -> dict[str, str]:
    repo = server.repos[REPO]
    return {path: oid for path, (_, oid) in repo.revisions[repo.refs["main"]].items()}


def test_the_release_is_that_of_the_folder(
    folder: Path, stored: StoreFolder, tmp_path: Path
) -> None:
    """Twice, the second with fewer records and boxes that are black."""
    told = []
    for where, target in ((folder, tmp_path / "a"), (URL, tmp_path / "b")):
        qoqdata.publish(where, to=target)
        ids = qoqdata.open(where).kept().filter(source="ham10000")["id"].sort()
        qoqdata.decide(where, ids[0], False, why="cut off", author="ana")
        qoqdata.curate(where, burned_in=True, recipe={"burned_in": {"on_finding": "blank"}})
        told.append(qoqdata.publish(where, to=target).delivery)
    assert told[0] == told[1] and told[0] is not None and told[0].revision == "2.0.0"
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert not list((tmp_path / "cache" / "passes").glob("*/*"))


def test_to_the_hub(folder: Path, stored: StoreFolder, server: hub_server.Hub) -> None:
    qoqdata.publish(folder, repo_id=REPO)
    there = on_hub(server)
    del server.repos[REPO]
    server.blobs.clear()
    delivery = qoqdata.publish(URL, repo_id=REPO).delivery
    assert on_hub(server) == there
    assert delivery is not None and set(delivery.sent) == set(there) - {".gitattributes"}
    again = qoqdata.publish(URL, repo_id=REPO).delivery
    assert again is not None and (again.sent, again.removed) == ((), ())


def test_a_few_shards_at_a_time(
    stored: StoreFolder, server: hub_server.Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = qoqdata.open(URL).manifest
    sizes = sorted(shard.bytes for shard in manifest.shards)
    room = sum(sizes[-2:]) + sum(entry.bytes for entry in manifest.meta.values())
    assert room + sizes[-1] < sum(sizes)
    monkeypatch.setenv("QOQDATA_CACHE_BYTES", str(room))
    most: list[int] = []

    def measured(*_: Any) -> None:
        places = [*tmp_path.glob("cache/shards/*/*"), *tmp_path.glob("cache/passes/**/data/**/*")]
        places += tmp_path.glob("cache/passes/**/.build/tmp*/*")
        # What is just evicted is no more.
        states = [path.stat() for path in places if path.is_file()]
        most.append(sum(state.st_size for state in states))

    fetch = MEMORY.get_file

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        measured()
        return fetch(self, *args, **kwargs)

    monkeypatch.setattr(MEMORY, "get_file", watched)
    server.spoil = measured
    assert qoqdata.publish(URL, repo_id=REPO).delivery
    assert 0 < max(most) <= room + sizes[-1]


@pytest.mark.parametrize("secret", [SALT.secret.hex(), "/home/ana/films"])
def test_every_shard_is_searched(
    stored: StoreFolder,
    server: hub_server.Hub,
    monkeypatch: pytest.MonkeyPatch,
    secret: str,
) -> None:
    """What is in one shard alone keeps all of them here."""
    searched: list[str] = []
    texts_of = privacy.texts_of

    def planted(path: Path, *, raw_paths: bool) -> Iterator[list[str]]:
        searched.append(path.name)
        yield from texts_of(path, raw_paths=raw_paths)
        if path.suffix == ".parquet" and len(searched) == 2:
            yield [secret]

    monkeypatch.setattr(privacy, "texts_of", planted)
    with pytest.raises(DatasetError, match=r" is in data/\w+/\w+-0000\d\.parquet") as told:
        qoqdata.publish(URL, repo_id=REPO)
    assert secret not in str(told.value) and "/passes/" not in str(told.value)
    assert server.repos == {} and server.count("PUT", "") == 0


def test_what_was_not_searched_does_not_leave(
    stored: StoreFolder, server: hub_server.Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard that is another one when it is sent than when it was searched, here in the cache."""

    def spoil(prepared: Any) -> None:
        passing = next(file for file in prepared.files if "ham10000/train" in file.path)
        with passing.holding() as path:
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)

    with pytest.raises(DatasetError, match="is not what was searched"):
        qoqdata.publish(URL, repo_id=REPO, on_prepared=spoil)
    assert list(on_hub(server)) == [".gitattributes"]


def test_gates_stay_shut(stored: StoreFolder, tmp_path: Path) -> None:
    """As of a folder: other verdicts than curation left, and no hashes of raw keys."""
    content = stored.read("curation/verdicts.parquet")
    assert content is not None
    stored.write("curation/verdicts.parquet", content + b" ")
    with pytest.raises(DatasetError, match=f"{URL}/curation/verdicts.parquet: are not those"):
        qoqdata.publish(URL, to=tmp_path / "out")
    stored.write("curation/verdicts.parquet", content)
    stored.remove(".build/raw_keys/ptb_xl.bin")
    with pytest.raises(DatasetError, match="nothing tells which raw keys ptb_xl has"):
        qoqdata.publish(URL, to=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interrupted_delivery_goes_on(stored: StoreFolder, server: hub_server.Hub) -> None:
    """In the middle of the shards; the next sends the rest."""
    lfs = 0

    def stop(method: str, path: str) -> int | None:
        nonlocal lfs
        lfs += "/lfs-put/" in path
        return 403 if lfs > 6 else None

    server.spoil = stop
    with pytest.raises(qoqdata.QoqdataError):
        qoqdata.publish(URL, repo_id=REPO)
    assert list(on_hub(server)) == [".gitattributes"]
    stored_ = {oid for oid in server.blobs if len(oid) == 64}
    assert stored_
    server.spoil = lambda method, path: None
    before = server.count("PUT", "/lfs-put/")
    qoqdata.publish(URL, repo_id=REPO)
    rest = {oid for oid in on_hub(server).values() if len(oid) == 64} - stored_
    assert server.count("PUT", "/lfs-put/") - before == len(rest)


PUBLISH = (
    "import sys, qoqdata\n"
    "qoqdata.publish(sys.argv[1], repo_id=sys.argv[2] or None, to=sys.argv[3] or None)\n"
)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["hub", "s3"])
def test_killed_in_the_middle_goes_on(
    folder: Path, server: hub_server.Hub, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    """SIGKILL while shards go from an S3-compatible store to the Hub, or to another bucket."""
    with bucket("clinical", monkeypatch) as proxy:
        source, released = StoreFolder("s3://clinical/set"), StoreFolder("s3://clinical/released")
        send(folder, source)
        hubs = ("PUT", "/lfs-put/")
        names = ("s3://clinical/set", REPO, "") if to == "hub" else (source.url, "", released.url)
        command = [sys.executable, "-c", PUBLISH, *names]

        def shards_there() -> int:
            if to == "hub":
                return len([oid for oid in server.blobs if len(oid) == 64])
            return len([path for path in released.listing() if "/data/" in path])

        process = subprocess.Popen(command, start_new_session=True)
        while process.poll() is None and shards_there() < 3:
            time.sleep(0.01)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        there = shards_there()
        sent = server.count(*hubs)
        written: list[str] = []

        def note(method: str, path: str) -> None:
            written.extend([path] * (method == "PUT" and "/released/" in path))

        proxy.fault = note
        subprocess.run(command, check=True)
        if to == "hub":
            lfs = {oid for oid in on_hub(server).values() if len(oid) == 64}
            assert server.count(*hubs) - sent == len(lfs) - there
            return
        assert open_dataset(released.url).manifest.release is not None
        shards = [path for path in released.listing() if "/data/" in path]
        assert len([path for path in written if "/data/" in path]) == len(shards) - there
