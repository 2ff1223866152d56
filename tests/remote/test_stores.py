"""The same data set in stores of other kinds: S3 on loopback, and fsspec's memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import qoqdata
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.statistics import difficulty
from tests.statistics.written import write_stats

BUCKET = "clinical"
Store = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def s3() -> Iterator[dict[str, Any]]:
    """Storage options of an S3-compatible server on loopback."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"key": "some", "secret": "thing"}
    yield options | {"endpoint_url": f"http://{host}:{port}"}
    server.stop()


@pytest.fixture(params=[pytest.param("s3", marks=pytest.mark.slow), "memory"])
def store(request: pytest.FixtureRequest, local: Dataset) -> Iterator[Store]:
    """A copy of the data set in a store: its URL and the options that open it."""
    kind = request.param
    options = request.getfixturevalue("s3") if kind == "s3" else {}
    system = fsspec.filesystem(kind, **options)
    root = f"{BUCKET}/sets/one"
    system.mkdirs(BUCKET, exist_ok=True)
    system.put(f"{local.root}/", f"{root}/", recursive=True)
    yield f"{kind}://{root}", options
    system.rm(BUCKET, recursive=True)


def opened(store: Store, **settings: Any) -> Dataset:
    url, options = store
    return qoqdata.open(url, storage_options=options, **settings)


def test_the_same_as_its_folder(store: Store, local: Dataset) -> None:
    remote = opened(store)
    assert remote.where == store[0] and remote.manifest == local.manifest
    assert_frame_equal(remote.metadata(), local.metadata())
    assert_frame_equal(opened(store).metadata(), local.metadata())
    assert_frame_equal(remote.kept(), local.kept())
    assert remote.kept().height == 11
    assert remote.cards == local.cards
    assert remote.stats.digest == local.stats.digest
    assert_frame_equal(remote.records.collect(), local.records.collect())
    found, wanted = (difficulty.choose(one.layout, "some-policy") for one in (remote, local))
    assert found is not None and wanted is not None and found.equals(wanted)
    for shard, path in zip(local.manifest.shards, remote.paths, strict=True):
        assert path.read_bytes() == (local.root / shard.path).read_bytes()


def test_what_is_published_anew_shows_at_the_next_open(store: Store, local: Dataset) -> None:
    before = opened(store)
    assert before.stats.digest == local.stats.digest and before.kept().height == 11
    system, root = fsspec.url_to_fs(store[0], **store[1])
    verdicts = pl.DataFrame({"id": ["r1", "r2"], "keep": [False, False], "rule": ["leakage"] * 2})
    verdicts.write_parquet(local.layout.verdicts)
    written = write_stats(local)
    system.put(f"{local.root}/stats/", f"{root}/stats/", recursive=True)
    system.put_file(str(local.layout.verdicts), f"{root}/curation/verdicts.parquet")
    assert opened(store).stats.digest == written.digest
    assert opened(store).kept().height == 10
    system.rm(f"{root}/curation/verdicts.parquet")
    system.rm(f"{root}/difficulty", recursive=True)
    assert opened(store).kept().height == 12
    assert difficulty.choose(opened(store).layout) is None


def test_a_shard_that_is_wrong_or_gone(store: Store, local: Dataset, cache: Path) -> None:
    system, root = fsspec.url_to_fs(store[0], **store[1])
    wrong, gone, _ = local.manifest.shards
    content = bytearray((local.root / wrong.path).read_bytes())
    content[len(content) // 2] ^= 1
    system.pipe_file(f"{root}/{wrong.path}", bytes(content))
    system.rm(f"{root}/{gone.path}")
    remote = opened(store)
    with pytest.raises(DatasetError, match=f"{wrong.path}: differs from its digest"):
        remote.files.local(wrong)
    with pytest.raises(DatasetError, match=f"{gone.path}: is in the manifest and not in the store"):
        remote.files.local(gone)
    assert remote.metadata().equals(local.metadata())
    system.rm(f"{root}/meta/films.parquet")
    shutil.rmtree(cache / "meta")
    with pytest.raises(
        DatasetError, match=r"meta/films.parquet: is in the manifest and not in the s"
    ):
        opened(store).metadata()
    assert not list(cache.glob("shards/*/*"))


def test_nothing_there(store: Store) -> None:
    url, options = store
    with pytest.raises(DatasetError, match=r"sets/two: there is no such data set"):
        qoqdata.open(url.replace("one", "two"), storage_options=options)


@pytest.mark.slow
def test_no_such_bucket(s3: dict[str, Any]) -> None:
    with pytest.raises(DatasetError, match="s3://none-of-this/set: there is no such data set"):
        qoqdata.open("s3://none-of-this/set", storage_options=s3)


@pytest.mark.slow
def test_no_credentials(
    s3: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    options = {"endpoint_url": s3["endpoint_url"]}
    with pytest.raises(UsageError, match=r"access is denied.*AWS_PROFILE.*anon") as raised:
        qoqdata.open(f"s3://{BUCKET}/set", storage_options=options)
    assert "\n" not in str(raised.value)


def test_no_server_there() -> None:
    pytest.importorskip("s3fs")
    options = {"key": "a", "secret": "b", "endpoint_url": "http://127.0.0.1:9"}
    options |= {"config_kwargs": {"retries": {"max_attempts": 0}}}
    with pytest.raises(DatasetError, match="cannot be reached"):
        qoqdata.open(f"s3://{BUCKET}/set", storage_options=options)
