"""Sets that are built in an S3-compatible store, through a proxy that does what networks do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import qoqdata
from qoqdata.errors import QoqdataError, UnfinishedBuild
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.parts import Part, build_part, finish
from qoqdata.readers import encode
from qoqdata.remote.store import StoreFolder
from tests.pipeline.conftest import SALT
from tests.pipeline.test_stored_sets import plan
from tests.remote.proxy import Proxy, bucket, seldom

pytestmark = pytest.mark.slow
Films = Callable[..., SourceRequest]
HERE = BuildSetting(SALT, workers=0)
URL = "s3://clinical/sets/films"
COMMAND = "from qoqdata.cli.main import run; run()"


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    with bucket("clinical", monkeypatch) as running:
        yield running


def config(*requests: SourceRequest) -> BuildConfig:
    return BuildConfig(name="films", sources=requests, shard_units=2)


def test_whatever_passes(films: Films, tmp_path: Path, proxy: Proxy) -> None:
    asked = config(films(9))
    local = build(asked, tmp_path / "films", HERE)
    proxy.fault = seldom("throttled", "broken", "reset", "lost", "cut")
    assert build(asked, URL, HERE) == local
    proxy.fault = lambda method, path: None
    read = qoqdata.open(URL)
    assert read.manifest == local
    for shard in local.shards:
        assert StoreFolder(URL).sha256(shard.path) == shard.sha256


@pytest.mark.parametrize("reason", ["expired", "skewed"])
def test_credentials_that_end(films: Films, tmp_path: Path, proxy: Proxy, reason: str) -> None:
    """So does a clock that jumped: S3 refuses whoever is a quarter of an hour off."""
    asked = config(films(9))
    puts: list[str] = []

    def fault(method: str, path: str) -> str | None:
        puts.extend([path] * (method == "PUT" and "/data/" in path))
        return reason if len(puts) > 2 else None

    proxy.fault = fault
    with pytest.raises(QoqdataError, match="access is denied") as told:
        build(asked, URL, HERE)
    assert isinstance(told.value, UnfinishedBuild) and "\n" not in str(told.value)
    proxy.fault = lambda method, path: None
    manifest = build(asked, URL, HERE)
    assert manifest == build(asked, tmp_path / "films", HERE)
    assert manifest.sources["films"].counts.quarantined == 0


def test_finishing_fetches_no_media(films: Films, proxy: Proxy) -> None:
    request = films(24)
    for number, path in enumerate(sorted(Path(request.raw).glob("*.png"))):
        pixels = np.random.default_rng(number).integers(0, 256, (400, 400), np.uint8)
        path.write_bytes(encode.png(pixels))
    plan(config(request).model_copy(update={"shard_units": 24}), URL)
    build_part(URL, Part(1, 1), HERE)
    proxy.sent = 0
    manifest = finish(URL, HERE)
    assert manifest.sources["films"].counts.records == 24
    assert proxy.sent < sum(shard.bytes for shard in manifest.shards) / 4


def test_killed_in_a_bucket_and_resumed(films: Films, tmp_path: Path, proxy: Proxy) -> None:
    """Two workers, killed with their parent at moments of the build; then two commands at once."""
    request = films(60)
    path, salt = tmp_path / "build.yaml", tmp_path / "salt"
    content = {"name": "films", "sources": [request.model_dump(mode="json")], "shard_units": 6}
    path.write_text(yaml.safe_dump(content))
    salt.write_text("ab" * 32)

    def run(out: Any) -> subprocess.Popen[bytes]:
        words = ["build", "--config", path, "--out", out, "--workers", "2", "--salt-file", salt]
        log = (tmp_path / "log").open("ab")
        command = [sys.executable, "-c", COMMAND, *map(str, words)]
        return subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log)

    assert run(tmp_path / "whole").wait() == 0
    store = StoreFolder(URL)
    kills = 0
    for receipts in (1, 3, 6):
        process = run(URL)
        while process.poll() is None:
            if len(store.listing(".build/receipts")) >= receipts:
                os.killpg(process.pid, signal.SIGKILL)
                kills += process.wait() != 0
                break
            time.sleep(0.05)
    assert kills >= 2
    both = [run(URL), run(URL)]
    codes = sorted(process.wait() for process in both)
    # One goes on; the other is told, or came when it had ended.
    assert codes in ([0, 2], [0, 0]), (tmp_path / "log").read_text()
    if codes == [0, 2]:
        assert "another command is writing this data set" in (tmp_path / "log").read_text()
    whole = qoqdata.open(tmp_path / "whole").manifest
    assert qoqdata.open(URL).manifest == whole
    assert set(store.listing("data")) == {shard.path for shard in whole.shards}


def test_two_finishes_at_once(films: Films, tmp_path: Path, proxy: Proxy) -> None:
    """Each is told, or finds what the other wrote; credentials end in the middle of a third."""
    asked = config(films(12))
    plan(asked, URL)
    build_part(URL, Part(1, 1), HERE)
    salt = tmp_path / "salt"
    salt.write_text(SALT.secret.hex())
    puts: list[str] = []

    def fault(method: str, path: str) -> str | None:
        puts.extend([path] * (method == "PUT" and "/lease/" not in path))
        return "expired" if len(puts) > 1 else None

    proxy.fault = fault
    with pytest.raises(QoqdataError, match="access is denied"):
        finish(URL, HERE)
    proxy.fault = lambda method, path: None
    assert StoreFolder(URL).read("manifest.json") is None
    words = ["finish", "--out", URL, "--salt-file", str(salt)]
    with (tmp_path / "log").open("ab") as log:
        both = [
            subprocess.Popen([sys.executable, "-c", COMMAND, *words], stdout=log, stderr=log)
            for _ in range(2)
        ]
    codes = sorted(process.wait() for process in both)
    told = (tmp_path / "log").read_text()
    assert codes in ([0, 0], [0, 2]), told
    assert ("another command is writing this data set" in told) == (2 in codes)
    assert qoqdata.open(URL).manifest == build(asked, tmp_path / "films", HERE)
    assert qoqdata.validate(URL) == []
