"""Files of a data set on the Hugging Face Hub, from a server of its protocol on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from qoqdata.errors import InputError
from qoqdata.fetching.channels import Channel, Download, published_files
from qoqdata.fetching.download import fetch
from tests.publication import hub_server

CSV, ZIP = b"a,b\n1,2\n", bytes(range(256)) * 16


@pytest.fixture
def hub() -> Iterator[hub_server.Hub]:
    with hub_server.serving() as server:
        repo = hub_server.Repo(private=False)
        names = {"test.csv": ("regular", CSV), "data/images.zip": ("lfs", ZIP)}
        tree = {}
        for path, (kind, content) in names.items():
            lfs = kind == "lfs"
            oid = hashlib.sha256(content).hexdigest() if lfs else hub_server.git_oid(content)
            server.blobs[oid] = content
            tree[path] = (kind, oid)
        repo.commit(tree, "main")
        server.repos["lab/set"] = repo
        yield server


def channel(hub: hub_server.Hub, name: str = "lab/set", *, only: tuple[str, ...] = ()) -> Download:
    return Download(channels=(Channel(hub=name, at=hub.url, only=only),))


def test_small_and_large_files_have_their_own_digests(hub: hub_server.Hub, tmp_path: Path) -> None:
    large, small = published_files(channel(hub))
    assert (large.path, large.size, large.algorithm) == ("data/images.zip", len(ZIP), "sha256")
    assert (small.path, small.size, small.algorithm) == ("test.csv", len(CSV), "git")
    fetched = fetch([large, small], tmp_path)
    assert fetched.failed == ()
    assert fetched.unchecked == ()
    assert (tmp_path / "data/images.zip").read_bytes() == ZIP
    # Of the same size, so that only the digest tells.
    (tmp_path / "test.csv").write_bytes(b"a,b\n1,3\n")
    assert fetch([large, small], tmp_path).came == ("test.csv",)
    assert (tmp_path / "test.csv").read_bytes() == CSV


def test_only_what_is_wanted(hub: hub_server.Hub) -> None:
    assert [one.path for one in published_files(channel(hub, only=("*.csv",)))] == ["test.csv"]


def test_a_set_that_is_not_there_is_told(hub: hub_server.Hub) -> None:
    with pytest.raises(InputError, match="does not list its files"):
        published_files(channel(hub, "lab/other"))
