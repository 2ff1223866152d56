"""Data sets from members of containers: the same as from the unpacked files, for any workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import polars as pl
import pytest
from blake3 import blake3

from qoqdata.contract.manifest import Manifest
from qoqdata.errors import UnfinishedBuild, UsageError
from qoqdata.pipeline import containers
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.readers import encode
from qoqdata.readers.container import delimited_cells, opened
from qoqdata.readers.limits import Limits
from qoqdata.remote import faults
from qoqdata.remote.store import StoreFolder
from qoqdata.sources.raw_store import STAGED_VARIABLE, RawStore
from tests.pipeline.conftest import SALT
from tests.pipeline.container_source import source
from tests.readers.container_files import FORMATS, LIBRARIES, write_parquet, write_tsv, write_zip

FILMS = {
    f"{number}.png": encode.png(
        np.random.default_rng(number).integers(0, 120 + 60 * number, (20, 30), np.uint8)
    )
    for number in range(3)
}
EACH = [(name, member) for name, (_, member) in FORMATS.items()]


def raw_folder(folder: Path, pattern: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "members.txt").write_text(pattern)
    return folder


def run(raw: Path, out: Path, *, workers: int = 0, **settings: Any) -> Manifest:
    request = SourceRequest(source="containers", raw=raw)
    config = BuildConfig(sources=(request,), name="set", **settings)
    return build_requests(
        [(source(raw), request)], out, BuildSetting(SALT, workers=workers), config
    )


def records(out: Path) -> list[dict[str, Any]]:
    return pl.read_parquet(out / "data/containers/*.parquet").sort("id").to_dicts()


@pytest.mark.parametrize(("file", "member"), EACH)
def test_members_give_what_their_files_give(file: str, member: str, tmp_path: Path) -> None:
    if library := LIBRARIES.get(Path(file).suffix):
        pytest.importorskip(library)
    raw = raw_folder(tmp_path / "raw", f"{file}#{member.format('*')}")
    FORMATS[file][0](raw / file, FILMS)
    assert run(raw, tmp_path / "set").sources["containers"].counts.converted == 3
    digests = {
        f"{file}#{member.format(name)}": blake3(blake3(content).digest()).hexdigest()
        for name, content in FILMS.items()
    }
    rows = records(tmp_path / "set")
    found = {row["provenance"]["raw"][0]: row["provenance"]["digest"] for row in rows}
    assert found == digests
    unpacked = raw_folder(tmp_path / "unpacked", "*.png")
    for name, content in FILMS.items():
        (unpacked / name).write_bytes(content)
    run(unpacked, tmp_path / "plain")
    images, others = (
        sorted(image["bytes"] for row in records(tmp_path / out) for image in row["images"])
        for out in ("set", "plain")
    )
    assert images == others and len(images) == 3


def test_any_number_of_workers_gives_the_same(tmp_path: Path) -> None:
    """Three units of every format in one raw folder, a chunk a unit."""
    raw = raw_folder(tmp_path / "raw", "")
    patterns = []
    for file, (write, member) in FORMATS.items():
        if (library := LIBRARIES.get(Path(file).suffix)) and find_spec(library) is None:
            continue
        write(raw / file, FILMS)
        patterns.append(f"{file}#{member.format('*')}")
    (raw / "members.txt").write_text("\n".join(patterns))
    alone = run(raw, tmp_path / "alone", shard_units=1)
    assert alone.sources["containers"].counts.converted == 3 * len(patterns) >= 18
    assert run(raw, tmp_path / "pool", workers=2, shard_units=1).digest == alone.digest


def test_a_bad_row_quarantines_its_unit_only(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path / "raw", "a.tsv#image[index=*]")
    path = write_tsv(raw / "a.tsv", {**FILMS, "bad.png": b"x"})
    path.write_text(path.read_text().replace("eA==", "e*A=", 1))
    counts = run(raw, tmp_path / "set").sources["containers"].counts
    assert (counts.converted, counts.quarantined) == (3, 1)
    (row,) = pl.read_parquet(tmp_path / "set/quarantine/containers.parquet").to_dicts()
    assert (row["unit"], row["reason"]) == ("a.tsv#image[index=bad.png]", "unreadable_file")
    assert row["message"].startswith("a.tsv#image[index=bad.png]: is no base64")


def test_a_container_is_indexed_once_for_all_its_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = raw_folder(tmp_path / "raw", "a.zip#*.png")
    write_zip(raw / "a.zip", FILMS)
    indexes: list[Path] = []
    plain = opened._index_function

    def counting(path: Path) -> Any:
        indexes.append(path)
        return plain(path)

    monkeypatch.setattr(opened, "_index_function", counting)
    run(raw, tmp_path / "set", shard_units=1)
    assert indexes == [raw / "a.zip"]


def test_a_cell_is_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = raw_folder(tmp_path / "raw", "a.tsv#image[index=*]")
    write_tsv(raw / "a.tsv", FILMS)
    cells: list[str] = []
    plain = delimited_cells._decoded

    def counting(cell: bytes, where: str) -> bytes:
        cells.append(where)
        return plain(cell, where)

    monkeypatch.setattr(delimited_cells, "_decoded", counting)
    run(raw, tmp_path / "set")
    assert len(cells) == len(set(cells)) == 3


def test_limits_of_a_build_hold_for_members(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path / "raw", "a.parquet#image[id=*]")
    write_parquet(raw / "a.parquet", FILMS)
    counts = (
        run(raw, tmp_path / "set", limits=Limits(inflated_bytes=500)).sources["containers"].counts
    )
    assert (counts.converted, counts.quarantined) == (0, 3)
    (reason,) = set(pl.read_parquet(tmp_path / "set/quarantine/containers.parquet")["reason"])
    assert reason == "too_large"


def test_a_container_is_digested_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = raw_folder(tmp_path / "raw", "?.zip#*.png")
    paths = [write_zip(raw / "a.zip", FILMS), write_zip(raw / "b.zip", FILMS)]
    (raw / "c.zip").write_bytes(paths[0].read_bytes())
    (raw / "c.zip").rename(raw / "b.zip#0.png")  # a file of that name, which is no member
    digests: list[Path] = []
    plain = containers._digest

    def counting(path: Path) -> str:
        digests.append(path)
        return plain(path)

    monkeypatch.setattr(containers, "_digest", counting)
    entry = run(raw, tmp_path / "set", shard_units=1).sources["containers"]
    expected = {path.name: blake3(path.read_bytes()).hexdigest() for path in paths}
    assert entry.containers == expected and digests == paths
    run(raw, tmp_path / "set", shard_units=2)
    assert digests == paths, "a later build reads none of them again"
    write_zip(paths[0], {**FILMS, "3.png": FILMS["2.png"]})
    entry = run(raw, tmp_path / "set").sources["containers"]
    assert digests == [*paths, paths[0]]
    assert entry.containers["a.zip"] == blake3(paths[0].read_bytes()).hexdigest()


def test_units_are_converted_again_when_their_container_changes(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path / "raw", "a.zip#*.png")
    path = write_zip(raw / "a.zip", FILMS)
    first = run(raw, tmp_path / "set")
    shard = tmp_path / "set" / first.shards[0].path
    written = shard.stat().st_mtime_ns
    assert run(raw, tmp_path / "set").digest == first.digest
    assert shard.stat().st_mtime_ns == written, "nothing changed, so nothing is converted"
    write_zip(path, {**FILMS, "0.png": FILMS["2.png"]})
    os.utime(path, ns=(0, 0))
    assert run(raw, tmp_path / "set").digest != first.digest


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A store in memory at URL, with room for hardly an archive here."""
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(STAGED_VARIABLE, "100")
    monkeypatch.setattr(faults, "WAITS", (0.0, 0.0))
    system = fsspec.filesystem("memory")
    yield system
    system.rm("/bucket", recursive=True)


URL = "memory://bucket/raw"


@pytest.mark.parametrize(("file", "in_place"), [("a.zip", True), ("a.tar", True), ("a.tgz", False)])
def test_archives_in_a_bucket(
    file: str, in_place: bool, tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The set is that of the folder; a zip and a tar are read where they lie, and no more of them
    than they hold, besides once for their digest."""
    raw = raw_folder(tmp_path / "raw", f"{file}#*.png")
    FORMATS.get(file, FORMATS["a.tar.gz"])[0](raw / file, FILMS)
    bucket.put(f"{raw}/", "/bucket/raw/", recursive=True)
    local = run(raw, tmp_path / "local", shard_units=1)
    brought: list[str] = []
    fetched: list[int] = []
    bring, read_range = RawStore.bring, StoreFolder.read_range

    def noted(store: RawStore, relative: str) -> Path:
        brought.append(relative)
        return bring(store, relative)

    def counted(store: StoreFolder, path: str, begin: int, end: int) -> bytes:
        fetched.append(end - begin)
        return read_range(store, path, begin, end)

    monkeypatch.setattr(RawStore, "bring", noted)
    monkeypatch.setattr(StoreFolder, "read_range", counted)
    assert run_from(URL, raw, tmp_path / "remote", shard_units=1) == local
    assert (file in brought) != in_place
    assert bool(fetched) == in_place
    # Indexed once, digested once, and each member in one request.
    size = (raw / file).stat().st_size
    assert sum(fetched) < 4 * size and len(fetched) < 20
    # The digest holds while the store lists the same: another build fetches the index again.
    fetched.clear()
    assert run_from(URL, raw, tmp_path / "remote", shard_units=1) == local
    assert not in_place or sum(fetched) <= 2 * size


def test_an_archive_that_changed_in_a_bucket(tmp_path: Path, bucket: Any) -> None:
    raw = raw_folder(tmp_path / "raw", "a.zip#*.png")
    for content in (FILMS, {**FILMS, "0.png": FILMS["2.png"], "3.png": FILMS["1.png"]}):
        write_zip(raw / "a.zip", content)
        bucket.put(f"{raw}/", "/bucket/raw/", recursive=True)
        local = run(raw, tmp_path / "local")
        assert run_from(URL, raw, tmp_path / "remote") == local
    assert local.sources["containers"].counts.converted == 4


@pytest.mark.parametrize("file", ["a.zip", "a.tar"])
def test_a_store_that_fails_while_an_archive_is_read(
    file: str, tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is quarantined for it, and the same command goes on."""
    raw = raw_folder(tmp_path / "raw", f"{file}#*.png")
    FORMATS[file][0](raw / file, FILMS)
    bucket.put(f"{raw}/", "/bucket/raw/", recursive=True)
    local = run(raw, tmp_path / "local", shard_units=1)
    read_range = StoreFolder.read_range
    for failing in count(1):
        left = iter(range(failing))

        def expired(
            store: StoreFolder, path: str, begin: int, end: int, left: Iterator[int] = left
        ) -> bytes:
            if next(left, None) is None:
                raise UsageError("access is denied (ExpiredToken)", where=store.where(path))
            return read_range(store, path, begin, end)

        out = tmp_path / f"remote-{failing}"
        opened._indexes.clear()
        with monkeypatch.context() as patch:
            patch.setattr(StoreFolder, "read_range", expired)
            try:
                made = run_from(URL, raw, out, shard_units=1)
            except (UnfinishedBuild, OSError) as error:
                assert "\n" not in str(error)
            else:
                if made == local:
                    break
                # It could not be planned.
                assert "ExpiredToken" in (made.sources["containers"].failure or "")
        assert run_from(URL, raw, out, shard_units=1) == local
    assert failing > 4


def run_from(url: str, folder: Path, out: Path, **settings: Any) -> Manifest:
    """As `run`, with raw files at a URL and the source's code in a folder."""
    request = SourceRequest(source="containers", raw=url)
    config = BuildConfig(sources=(request,), name="set", **settings)
    return build_requests([(source(folder), request)], out, BuildSetting(SALT, workers=0), config)
