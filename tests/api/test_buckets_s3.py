"""Passes over a set in an S3-compatible store, through a proxy that does what networks do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs

import qoqdata
from qoqdata.atomic import file_digest
from qoqdata.errors import DatasetError, QoqdataError, UsageError
from qoqdata.remote import faults, lease
from qoqdata.remote.store import StoreFolder
from tests.publication.conftest import build_set
from tests.remote.proxy import Proxy, bucket, seldom

pytestmark = pytest.mark.slow
URL = "s3://clinical/sets/two"
STORE = StoreFolder(URL)
COMMAND = "from qoqdata.cli.main import run; run()"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set as built, and beside it what its passes leave."""
    root = tmp_path_factory.mktemp("plain") / "two"
    return build_set(root, "ham10000", "lc25000", shard_units=4).root


@pytest.fixture(scope="module")
def passed(plain: Path) -> Path:

    copy = Path(shutil.copytree(plain, plain.parent / "passed" / "two"))
    passes(copy)
    return copy


@pytest.fixture
def proxy(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(faults, "WAITS", tuple(wait / 50 for wait in faults.WAITS))
    with bucket("clinical", monkeypatch) as running:
        for path in plain.rglob("*"):
            if path.is_file():
                STORE.put(path, path.relative_to(plain).as_posix())
        yield running


def passes(where: Any) -> None:
    qoqdata.curate(where)
    qoqdata.stats(where, prior=True)
    qoqdata.card(where)


def in_bucket() -> dict[str, str | None]:
    paths = [path for path in STORE.listing() if not path.startswith(lease.FOLDER)]
    return {path: STORE.sha256(path) for path in paths}


def in_folder(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): file_digest(path)
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_whatever_passes(proxy: Proxy, passed: Path) -> None:
    proxy.fault = seldom("throttled", "broken", "reset", "lost", "cut")
    passes(URL)
    assert qoqdata.validate(URL) == []
    proxy.fault = lambda method, path: None
    assert in_bucket() == in_folder(passed)


def test_credentials_that_end(proxy: Proxy, plain: Path, passed: Path) -> None:
    """After two files of those that a pass leaves: the same command writes them all."""
    puts: list[str] = []

    def fault(method: str, path: str) -> str | None:
        puts.extend([path] * (method == "PUT" and "/curation/" in path))
        return "expired" if len(puts) > 2 else None

    proxy.fault = fault
    with pytest.raises(QoqdataError, match="access is denied") as told:
        qoqdata.curate(URL)
    assert "\n" not in str(told.value)
    proxy.fault = lambda method, path: None
    assert in_folder(plain).items() < in_bucket().items()
    passes(URL)
    assert in_bucket() == in_folder(passed)


def test_who_writes_between_a_look_and_a_write(proxy: Proxy) -> None:
    """The store itself compares, as it writes, what a pass saw with what is there."""
    qoqdata.curate(URL)
    other = s3fs.S3FileSystem(
        endpoint_url=f"http://{proxy.host}:{proxy.port}", skip_instance_cache=True
    )

    def interfere(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("/verdicts.parquet"):
            proxy.fault = lambda method, path: None
            other.pipe_file(path.lstrip("/"), b"somebody else's")

    proxy.fault = interfere
    with pytest.raises(DatasetError, match=r"curation/verdicts\.parquet: was written by another"):
        qoqdata.curate(URL)
    assert STORE.read("curation/verdicts.parquet") == b"somebody else's"


def test_killed_and_two_at_once(proxy: Proxy, tmp_path: Path, passed: Path) -> None:
    def run(*words: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", COMMAND, *words]
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen(command, start_new_session=True, stdout=log, stderr=log)

    kills = 0
    for files in (1, 3):
        process = run("curate", URL)
        while process.poll() is None:
            written = [path for path in STORE.listing("curation") if "/likeness/" not in path]
            if len(written) >= files:
                os.killpg(process.pid, signal.SIGKILL)
                kills += process.wait() != 0
                break
            time.sleep(0.01)
    assert kills
    both = [run("curate", URL), run("curate", URL)]
    codes = sorted(process.wait() for process in both)
    told = (tmp_path / "log").read_text()
    # One is told, or came when the other had ended.
    assert codes in ([0, 0], [0, 2]), told
    assert ("another command is writing this data set" in told) == (2 in codes)
    passes(URL)
    assert in_bucket() == in_folder(passed)
    assert not list((tmp_path / "cache" / "passes").glob("*/*"))


def test_a_pass_and_a_build_exclude_each_other(proxy: Proxy, plain: Path) -> None:
    with (
        lease.leased(STORE, lease.FOLDER),
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(UsageError, match="another command is writing this data set"),
    ):
        patch.setattr(lease, "_is_free", lambda store, path: False)
        qoqdata.stats(URL)
