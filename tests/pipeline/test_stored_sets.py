"""Sets that are built in a store: the bytes of a folder, whatever the store or the machine does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import fsspec
import pytest

import qoqdata
from qoqdata.atomic import machine
from qoqdata.errors import UnfinishedBuild, UsageError
from qoqdata.pipeline import parts, progress
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.parts import Part, build_part, finish
from qoqdata.remote import faults, lease
from qoqdata.remote.store import StoreFolder
from qoqdata.sources import catalogue
from tests.pipeline.conftest import SALT

Films = Callable[..., SourceRequest]
HERE = BuildSetting(SALT, workers=0)
URL = "memory://sets/one"


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of the test, hardly a wait, and an empty store in memory."""
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(faults, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(lease, "PATIENCE", 0.3)
    monkeypatch.setattr(lease, "_LOOK", 0.05)
    yield
    system = fsspec.filesystem("memory")
    if system.exists("/sets"):
        system.rm("/sets", recursive=True)


def config(*requests: SourceRequest) -> BuildConfig:
    return BuildConfig(name="films", sources=requests, shard_units=2)


def plan(asked: BuildConfig, out: str | Path) -> None:
    pairs = [(catalogue.find_source(one.source), one) for one in asked.sources]
    parts.plan(pairs, out, HERE, asked)


def in_store(url: str = URL) -> dict[str, bytes]:
    """Files of the set in the store, but for what tells how it was built."""
    store = StoreFolder(url)
    return {
        path: store.read(path) or b""
        for path in store.listing()
        if not path.startswith((".build/lease/", ".build/plan/", ".build/sources/"))
    }


def in_folder(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != "lock" and not {"plan", "sources"} & set(path.parts)
    }


def test_the_files_are_those_of_a_folder(films: Films, tmp_path: Path) -> None:
    asked = config(films(9))
    local = build(asked, tmp_path / "one", HERE)
    assert build(asked, URL, HERE) == local
    assert in_store() == in_folder(tmp_path / "one")
    # Nothing is left here, and nothing is done again.
    assert not list((tmp_path / "cache" / "built").glob("*/*"))
    events: list[progress.Event] = []
    assert build(asked, URL, replace(HERE, listen=events.append)) == local
    assert all(one.reused for one in events if isinstance(one, progress.Finished))
    assert in_store() == in_folder(tmp_path / "one")
    opened = qoqdata.open(URL)
    assert opened.metadata().equals(qoqdata.open(tmp_path / "one").metadata())


def test_parts_in_any_order(films: Films, tmp_path: Path) -> None:
    asked = config(films(9))
    local = build(asked, tmp_path / "one", HERE)
    plan(asked, URL)
    for number, of in ((2, 3), (1, 2), (2, 3)):
        build_part(URL, Part(number, of), HERE)
    with pytest.raises(UnfinishedBuild, match=rf"build --part 1/3 --out {URL}|--part 3/3"):
        finish(URL, HERE)
    for number in (3, 1):
        build_part(URL, Part(number, 3), HERE)
    assert finish(URL, HERE) == local
    assert in_store() == in_folder(tmp_path / "one")
    assert finish(URL, HERE) == local


def test_media_are_not_fetched_to_finish(
    films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan(config(films(9)), URL)
    build_part(URL, Part(1, 1), HERE)
    whole: list[str] = []
    fetch = StoreFolder.fetch

    def noted(store: StoreFolder, path: str, target: Path, *, least: int = 0) -> None:
        whole.append(path)
        fetch(store, path, target, least=least)

    monkeypatch.setattr(StoreFolder, "fetch", noted)
    finish(URL, HERE)
    assert whole and not [path for path in whole if path.startswith(("data/", "curation/"))]


def test_disk_is_needed_for_one_shard(
    films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    put = StoreFolder.put

    def counted(store: StoreFolder, local: Path, path: str) -> None:
        seen.append(len(list((tmp_path / "cache").rglob("data/*/*.parquet"))))
        put(store, local, path)

    monkeypatch.setattr(StoreFolder, "put", counted)
    build(config(films(9)), URL, HERE)
    assert max(seen) == 1


def test_what_is_no_longer_planned_goes(films: Films, tmp_path: Path) -> None:
    request = films(9)
    build(config(request), URL, HERE)
    fewer = config(request).model_copy(update={"limit": 3})
    local = build(fewer, tmp_path / "one", HERE)
    assert build(fewer, URL, HERE) == local
    assert in_store() == in_folder(tmp_path / "one")


def test_a_shard_that_was_changed_is_made_again(films: Films, tmp_path: Path) -> None:
    asked = config(films(6))
    before = build(asked, URL, HERE)
    store = StoreFolder(URL)
    path = before.shards[0].path
    content = store.read(path)
    assert content is not None
    store.write(path, content[:-9] + b"x" + content[-8:])
    store.remove(before.shards[1].path)
    assert build(asked, URL, HERE) == before
    assert store.read(path) == content


def test_two_at_once(films: Films, tmp_path: Path) -> None:
    asked = config(films(6))
    store = StoreFolder(URL)
    plan(asked, URL)
    build_part(URL, Part(1, 1), HERE)
    for path in store.listing(".build/lease"):
        store.remove(path)
    with lease.leased(store, ".build/lease"):
        calls = (lambda: build(asked, URL, HERE), lambda: plan(asked, URL))
        for call in (*calls, lambda: finish(URL, HERE)):
            # Its holder renews it: the other is told.
            lease_held = store.read(".build/lease/1")
            assert lease_held is not None
            with pytest.raises(UsageError, match=f"{URL}: another command is writing"):
                _renewing(store, call)
    build(asked, URL, HERE)


def _renewing(store: StoreFolder, call: Callable[[], Any]) -> None:
    """Call while the note changes at every look."""
    read = StoreFolder.read
    count = iter(range(10**6))

    def changing(self: StoreFolder, path: str) -> bytes | None:
        content = read(self, path)
        if content is not None and path == ".build/lease/1":
            content = json.dumps(json.loads(content) | {"renewed": next(count)}).encode()
        return content

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StoreFolder, "read", changing)
        call()


@pytest.mark.parametrize(
    "note", [{"machine": "elsewhere"}, {"machine": machine(), "process": "4194305-1"}]
)
def test_the_lease_of_a_process_that_died(films: Films, note: dict[str, Any]) -> None:
    """On another machine it is known by not being renewed, on this one at once."""
    note = {"process": "1-1", "renewed": 3, **note}
    StoreFolder(URL).write(".build/lease/7", json.dumps(note).encode())
    build(config(films(3)), URL, HERE)
    assert sorted(StoreFolder(URL).listing(".build/lease")) == [".build/lease/8"]


def test_who_was_taken_over_ends_itself(films: Films, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 0.01)
    store = StoreFolder(URL)

    def listen(event: progress.Event) -> None:
        if isinstance(event, progress.Planned):
            store.write(".build/lease/99", b'{"process": 1}')
            held = lease.Lease(store, ".build/lease", 1)
            assert not held.look()

    with pytest.raises(UnfinishedBuild, match="another build has taken this data set over"):
        build(config(films(6)), URL, replace(HERE, listen=listen))
    assert store.read("manifest.json") is None


def test_a_clock_that_jumps(films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forwards and backwards by years, in the middle of commands: no step asks what time it is."""
    asked = config(films(9))
    local = build(asked, tmp_path / "one", HERE)
    monkeypatch.setattr(lease, "RENEWAL", 0.01)
    days = count()
    monkeypatch.setattr(time, "time", lambda: 86_400.0 * (1_000 + 700 * (next(days) % 3)))
    plan(asked, URL)
    build_part(URL, Part(2, 2), HERE)
    build_part(URL, Part(1, 2), HERE)
    assert finish(URL, HERE) == local
    assert build(asked, URL, HERE) == local
    assert in_store() == in_folder(tmp_path / "one")


def test_a_holder_whose_clock_is_wrong_is_not_taken_over(
    films: Films, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEWAL", 0.02)
    store = StoreFolder(URL)
    # As if on another machine: it is known by its note alone.
    monkeypatch.setattr(lease, "machine", lambda: "elsewhere")
    with lease.leased(store, ".build/lease") as held:
        monkeypatch.setattr(lease, "machine", machine)
        for wrong in (0.0, 4e9):
            monkeypatch.setattr(time, "time", lambda wrong=wrong: wrong)
            with pytest.raises(UsageError, match="another command is writing"):
                build(config(films(3, name=f"films-{wrong:.0f}")), URL, HERE)
        assert held.look() and not held.lost


def test_a_number_that_was_taken_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looked before another came and went does not hold what it then writes."""
    store = StoreFolder(URL)
    store.write(".build/lease/9", b'{"process": 1}')
    assert not lease.Lease(store, ".build/lease", 4).take()
    assert sorted(store.listing(".build/lease")) == [".build/lease/9"]


def test_a_store_that_fails_leaves_the_build_unfinished(
    films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = config(films(9))
    put = StoreFolder.put
    calls: list[str] = []

    def failing(store: StoreFolder, local: Path, path: str) -> None:
        calls.append(path)
        if len(calls) > 4:
            raise UsageError("access is denied (ExpiredToken)", where=store.where(path))
        put(store, local, path)

    with monkeypatch.context() as patch:
        patch.setattr(StoreFolder, "put", failing)
        with pytest.raises(UnfinishedBuild, match="ExpiredToken") as told:
            build(asked, URL, HERE)
    assert "\n" not in str(told.value)
    events: list[progress.Event] = []
    manifest = build(asked, URL, replace(HERE, listen=events.append))
    assert any(one.reused for one in events if isinstance(one, progress.Finished))
    assert manifest == build(asked, tmp_path / "one", HERE)
    assert manifest.sources["films"].counts.quarantined == 0


def test_a_part_ends_where_another_plan_begins(films: Films) -> None:
    request = films(8)
    plan(config(request), URL)

    def listen(event: progress.Event) -> None:
        if isinstance(event, progress.Finished):
            plan(config(request).model_copy(update={"limit": 3}), URL)

    with pytest.raises(UnfinishedBuild, match="another plan or build has begun"):
        build_part(URL, Part(1, 1), replace(HERE, listen=listen))


@pytest.mark.parametrize("url", ["hf://datasets/a/b", "https://example.org/set"])
def test_where_nothing_can_be_built(films: Films, url: str) -> None:
    with pytest.raises(UsageError, match="no data set can be built there"):
        build(config(films(1)), url, HERE)


def test_a_set_inside_its_raw_files(tmp_path: Path) -> None:
    fsspec.filesystem("memory").pipe("/sets/raw/a.csv", b"a\n1\n")
    asked = config(SourceRequest(source="ham10000", raw="memory://sets/raw"))
    with pytest.raises(UsageError, match="lies inside the raw folder"):
        build(asked, "memory://sets/raw/out", HERE)


def test_what_dead_processes_left_is_removed(films: Films, tmp_path: Path) -> None:
    build(config(films(3)), URL, HERE)
    (home,) = (tmp_path / "cache" / "built").iterdir()
    left = home / f"{machine()}-4194305-1-00" / "one" / "data"
    left.mkdir(parents=True)
    assert home.stat().st_mode & 0o077 == 0
    build(config(films(3, name="again")), URL, HERE)
    assert not left.exists()
