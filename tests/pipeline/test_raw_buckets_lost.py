"""A raw bucket that goes while a set is built of it: nothing is said of its files, and the same
command goes on once it is back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

import qoqdata
from qoqdata.contract.manifest import Manifest
from qoqdata.errors import UnfinishedBuild
from qoqdata.remote import faults
from tests.remote.proxy import Proxy, bucket

RAW = "s3://raw-bucket/ham"
pytestmark = pytest.mark.slow


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(faults, "WAITS", (0.0, 0.0))
    with bucket("raw-bucket", monkeypatch) as running:
        yield running


@pytest.fixture
def raw(tmp_path: Path, proxy: Proxy) -> Path:
    qoqdata.simulate("ham10000", n=24, out=tmp_path / "raw")
    fill(tmp_path / "raw")
    return tmp_path / "raw"


def fill(raw: Path) -> None:
    system = fsspec.filesystem("s3", skip_instance_cache=True)
    if not system.exists("raw-bucket"):
        system.mkdir("raw-bucket")
    system.put(f"{raw}/", "raw-bucket/ham/", recursive=True)


def empty(root: str = "raw-bucket/ham") -> None:
    fsspec.filesystem("s3", skip_instance_cache=True).rm(root, recursive=True)


def remove() -> None:
    empty("raw-bucket")


def build(raw: str | Path, out: Path, salt: Path) -> Manifest:
    """In this process, in small shards."""
    config = {"sources": [{"source": "ham10000", "raw": raw}], "shard_units": 4}
    return qoqdata.build(config=config, out=out, salt_file=salt, workers=0)


@pytest.mark.parametrize("lose", [remove, empty])
def test_lost_in_the_middle(
    raw: Path, tmp_path: Path, proxy: Proxy, lose: Callable[[], None]
) -> None:
    out, salt, images = tmp_path / "set", tmp_path / "salt", 0
    salt.write_text("ab" * 32)

    def fault(method: str, path: str) -> str | None:
        nonlocal images
        images += path.endswith(".jpg")
        if images == 9:
            proxy.fault = lambda method, path: None
            lose()
        return None

    proxy.fault = fault
    with pytest.raises(UnfinishedBuild, match="is empty or gone"):
        build(RAW, out, salt)
    assert not (out / "manifest.json").exists()
    there = {path: path.read_bytes() for path in (out / "data").rglob("*.parquet")}
    receipts = sorted((out / ".build" / "receipts").rglob("*.json"))
    assert there and len(receipts) >= len(there)
    assert not [path for path in receipts if '"quarantined"' in path.read_text()]
    proxy.fault = lambda method, path: None
    fill(raw)
    remote = build(RAW, out, salt)
    assert {path: path.read_bytes() for path in there} == there
    assert remote.sources["ham10000"].counts.quarantined == 0
    assert remote.digest == build(raw, tmp_path / "local", salt).digest
    assert qoqdata.validate(out) == []
