"""The real clients against a Hub-protocol server: publish, fail, publish again, read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qoqdata
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.publication import hub
from qoqdata.publication.hub import Hub
from qoqdata.publication.release import deliver, prepare
from qoqdata.remote import faults
from qoqdata.suite.examples import SALT
from tests.publication import hub_server
from tests.publication.hub_server import TOKEN

REPO = "our-lab/our-set"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[hub_server.Hub]:
    monkeypatch.setattr(faults, "WAITS", (0.01, 0.01))
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub_server.serving() as serving:
        yield serving


def target(server: hub_server.Hub, **changes) -> Hub:
    return Hub(REPO, **{"token": TOKEN, "endpoint": server.url} | changes)


def publish(dataset: Dataset, to: Hub, **changes):
    return deliver(prepare(dataset, to, salt=SALT, **changes), to)


def tree(server: hub_server.Hub, revision: str = "main") -> dict:
    repo = server.repos[REPO]
    return repo.revisions[repo.resolve(revision)]


def test_first_publication(server: hub_server.Hub, mixed: Dataset) -> None:
    delivery = publish(mixed, target(server))
    paths = set(tree(server))
    assert {"manifest.json", "README.md", "CHANGELOG.md", "recipes/lc25000.parquet"} <= paths
    assert {s.path for s in mixed.manifest.shards if s.source == "ptb_xl"} <= paths
    assert not [path for path in paths if "covid_blues" in path]
    assert set(delivery.sent) == paths - {".gitattributes"}
    assert server.repos[REPO].refs["1.0.0"] == delivery.revision


def test_publishing_the_same_again_sends_nothing(server: hub_server.Hub, mixed: Dataset) -> None:
    first = publish(mixed, target(server))
    commits = server.count("POST", "/commit/")
    second = publish(mixed, target(server))
    assert (second.sent, second.removed, second.revision) == ((), (), first.revision)
    assert server.count("POST", "/commit/") == commits == 1


def test_one_commit_makes_the_release(server: hub_server.Hub, mixed: Dataset) -> None:
    """Until the commit, readers see nothing of it."""
    seen = []

    def watch(method: str, path: str) -> None:
        if method == "PUT":
            seen.append(sorted(tree(server)))

    server.spoil = watch
    publish(mixed, target(server))
    assert len(seen) > 3
    assert all(paths == [".gitattributes"] for paths in seen)


@pytest.mark.slow
def test_killed_in_the_middle_goes_on(server: hub_server.Hub, mixed: Dataset) -> None:
    """A process that dies after some uploads; the next sends only the rest."""
    puts = 0

    def stall(method: str, path: str) -> float | None:
        nonlocal puts
        puts += method == "PUT"
        return 30.0 if method == "PUT" and puts > 3 else None

    server.spoil = stall
    code = (
        "import sys\n"
        "from qoqdata.dataset import open_dataset\n"
        "from qoqdata.publication.hub import Hub\n"
        "from qoqdata.publication.release import deliver, prepare\n"
        "from qoqdata.suite.examples import SALT\n"
        f"to = Hub({REPO!r}, token={TOKEN!r}, endpoint={server.url!r})\n"
        f"deliver(prepare(open_dataset({str(mixed.root)!r}), to, salt=SALT), to)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"HF_HUB_DISABLE_XET": "1"}
    )
    while puts <= 3 and process.poll() is None:
        pass
    process.kill()
    process.wait()
    assert tree(server).keys() == {".gitattributes"}
    stored = len([oid for oid in server.blobs if len(oid) == 64])
    assert stored >= 3
    server.spoil = lambda method, path: None
    before = server.count("PUT", "/lfs-put/")
    publish(mixed, target(server))
    lfs = [oid for kind, oid in tree(server).values() if kind == "lfs"]
    assert server.count("PUT", "/lfs-put/") - before == len(set(lfs)) - stored
    assert "manifest.json" in tree(server)


def test_read_back_with_qoqdata(
    server: hub_server.Hub, mixed: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(mixed, target(server))
    options = {"endpoint": server.url, "token": TOKEN}
    read = open_dataset(f"hf://datasets/{REPO}", storage_options=options)
    ids = set(read.metadata()["id"])
    assert ids == set(mixed.metadata().filter(source_in("ham10000", "ptb_xl"))["id"])


def source_in(*slugs: str):
    import polars as pl

    return pl.col("source").is_in(slugs)


def test_revision_switch(server: hub_server.Hub, mixed: Dataset, tmp_path: Path) -> None:
    publish(mixed, target(server))
    import shutil

    from tests.publication.test_staging import drop

    shutil.copytree(mixed.root, tmp_path / "set")
    smaller = open_dataset(tmp_path / "set")
    gone = mixed.metadata().filter(source_in("ptb_xl"))["id"].sort()[0]
    drop(smaller, [gone])
    qoqdata.curate(smaller)
    prepared = prepare(smaller, target(server), salt=SALT)
    assert prepared.version == "2.0.0"
    assert prepared.change is not None and prepared.change.count("removed") == 1
    delivery = deliver(prepared, target(server))
    assert "CHANGELOG.md" in delivery.sent and len(delivery.unchanged) > 3
    options = {"endpoint": server.url, "token": TOKEN}
    counts = [
        open_dataset(f"hf://datasets/{REPO}@{rev}", storage_options=options).metadata().height
        for rev in ("1.0.0", "2.0.0", "main")
    ]
    assert counts[0] - 1 == counts[1] == counts[2]


def test_wrong_token(server: hub_server.Hub, mixed: Dataset) -> None:
    with pytest.raises(UsageError, match="access is denied"):
        publish(mixed, target(server, token="hf_wrong"))
    assert server.repos == {}


@pytest.mark.parametrize(("status", "words"), [(402, "payment"), (413, "large"), (507, "full")])
def test_quota(server: hub_server.Hub, mixed: Dataset, status: int, words: str) -> None:
    server.spoil = lambda method, path: status if method == "POST" and "batch" in path else None
    with pytest.raises(UsageError, match=words):
        publish(mixed, target(server))
    server.spoil = lambda method, path: None
    assert publish(mixed, target(server)).sent


def test_passing_server_errors_are_survived(server: hub_server.Hub, mixed: Dataset) -> None:
    failed: set[str] = set()

    def once(method: str, path: str) -> int | None:
        if method in ("POST", "PUT") and path not in failed:
            failed.add(path)
            return 503
        return None

    server.spoil = once
    assert "manifest.json" in publish(mixed, target(server)).sent
    assert len(failed) > 5


def test_lasting_server_errors_are_told(server: hub_server.Hub, mixed: Dataset) -> None:
    server.spoil = lambda method, path: 500 if "/commit/" in path else None
    with pytest.raises(DatasetError, match=r"cannot be reached.*Fix: "):
        publish(mixed, target(server))
    server.spoil = lambda method, path: None
    assert publish(mixed, target(server)).sent


def test_a_server_that_falls_silent(
    server: hub_server.Hub, mixed: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "PATIENCE", 0.5)
    server.spoil = lambda method, path: 20.0 if "/commit/" in path else None
    with pytest.raises(DatasetError, match=r"cannot be reached.*imeout.*Fix: "):
        publish(mixed, target(server))
    server.spoil = lambda method, path: None
    monkeypatch.setattr(hub, "PATIENCE", 60.0)
    assert publish(mixed, target(server)).sent


def test_somebody_else_published_meanwhile(server: hub_server.Hub, mixed: Dataset) -> None:
    publish(mixed, target(server))

    def interfere(method: str, path: str) -> None:
        if "/commit/" in path:
            repo = server.repos[REPO]
            repo.commit(dict(tree(server)), "main")
            server.spoil = lambda method, path: None

    server.spoil = interfere
    with pytest.raises(DatasetError, match="somebody else published meanwhile"):
        publish(mixed, target(server), version="3.0.0")


def test_private_repository(server: hub_server.Hub, mixed: Dataset) -> None:
    publish(mixed, target(server, private=True))
    assert server.repos[REPO].private
    with pytest.raises(UsageError):
        open_dataset(f"hf://datasets/{REPO}", storage_options={"endpoint": server.url})


LOADING = """
import sys
from datasets import load_dataset

whole = load_dataset(sys.argv[1], "ecg", split="train")
streamed = load_dataset(sys.argv[1], "ecg", split="train", streaming=True)
older = load_dataset(sys.argv[1], "dermoscopy", split="train", revision="1.0.0")
assert older[0]["images"][0].size[0] > 0
assert sorted(row["id"] for row in streamed) == sorted(whole["id"])
assert set(whole["domain"]) == {"ecg"}
print(whole.num_rows, whole.features["images"])
"""


@pytest.mark.slow
def test_load_dataset_streamed_and_not(
    server: hub_server.Hub, mixed: Dataset, tmp_path: Path
) -> None:
    publish(mixed, target(server))
    done = subprocess.run(
        [sys.executable, "-c", LOADING, REPO],
        env=os.environ | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr
    hearts = mixed.metadata().filter(source="ptb_xl", split="train")
    assert done.stdout == f"{hearts.height} List(Image(mode=None, decode=True))\n"
