"""The cache folder: bounded, least recently used first, never what is in use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.errors import DatasetError, UsageError
from qoqdata.remote.cache import DEFAULT_BYTES, Cache


def strict(root: Path, max_bytes: int) -> Cache:
    """A cache that waits for nobody."""
    return Cache(root, max_bytes, patience=0.0)


def put(cache: Cache, name: str, size: int = 100) -> None:
    cache.obtain(entry(name), size, lambda draft: fill(draft, size)).close()


def entry(name: str) -> str:
    return f"shards/{name[:2]}/{name}"


def fill(draft: Path, size: int) -> None:
    draft.write_bytes(b"x" * size)


def names(cache: Cache) -> set[str]:
    return {path.name for path in (cache.root / "shards").glob("*/*")}


def age(cache: Cache, name: str, seconds: int) -> None:
    path = cache.root / entry(name)
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def refuse(draft: Path) -> None:
    raise AssertionError("it is there already")


def test_an_entry_is_made_once(tmp_path: Path) -> None:
    cache = strict(tmp_path, 1000)
    put(cache, "aa1")
    with cache.obtain(entry("aa1"), 100, refuse) as again:
        assert again.read() == b"x" * 100
    assert cache.held(entry("none")) is None


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    cache = strict(tmp_path, 300)
    for seconds, name in ((40, "aa1"), (30, "bb2"), (20, "cc3")):
        put(cache, name)
        age(cache, name, seconds)
    cache.obtain(entry("aa1"), 100, refuse).close()
    put(cache, "dd4")
    assert names(cache) == {"aa1", "cc3", "dd4"}


def test_metadata_takes_room_as_shards_do(tmp_path: Path) -> None:
    cache = strict(tmp_path, 250)
    table = "meta/aa/aa9"
    cache.obtain(table, 100, lambda draft: fill(draft, 100)).close()
    then = (cache.root / table).stat().st_mtime - 9
    os.utime(cache.root / table, (then, then))
    put(cache, "aa1")
    put(cache, "aa2")
    assert not (cache.root / table).exists() and names(cache) == {"aa1", "aa2"}


def test_what_is_held_stays(tmp_path: Path) -> None:
    cache = strict(tmp_path, 300)
    for name in ("aa1", "bb2", "cc3"):
        put(cache, name)
    age(cache, "aa1", 100)
    with cache.obtain(entry("aa1"), 100, refuse):
        age(cache, "aa1", 100)
        put(cache, "dd4", 200)
        assert names(cache) == {"aa1", "dd4"}
        with cache.obtain(entry("dd4"), 200, refuse):
            with pytest.raises(DatasetError, match=r"no room for 100 bytes.*raise QOQDATA_CACHE"):
                put(cache, "ee5")
            assert names(cache) == {"aa1", "dd4"}
    put(cache, "ee5")
    assert "ee5" in names(cache)


HOLD = """
import sys, time
from pathlib import Path
from qoqdata.remote.cache import Cache
held = Cache(Path(sys.argv[1]), 300).held(sys.argv[2])
print("held", flush=True)
time.sleep(60)
"""


def test_what_another_process_holds_stays_until_it_dies(tmp_path: Path) -> None:
    cache = strict(tmp_path, 300)
    for name in ("aa1", "bb2"):
        put(cache, name)
    command = [sys.executable, "-c", HOLD, str(tmp_path), entry("aa1")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None and reader.stdout.readline() == "held\n"
        age(cache, "aa1", 100)
        put(cache, "cc3", 200)
        assert names(cache) == {"aa1", "cc3"}
        reader.send_signal(signal.SIGKILL)
        reader.wait()
    put(cache, "dd4", 100)
    assert names(cache) == {"cc3", "dd4"}


def test_larger_than_the_cache(tmp_path: Path) -> None:
    cache = strict(tmp_path, 300)
    put(cache, "aa1")
    with pytest.raises(DatasetError, match=r"301 bytes is larger.*QOQDATA_CACHE_BYTES \(now 300\)"):
        put(cache, "bb2", 301)
    assert names(cache) == {"aa1"}


def test_an_entry_of_another_size_is_made_again(tmp_path: Path) -> None:
    cache = strict(tmp_path, 300)
    put(cache, "aa1")
    (tmp_path / entry("aa1")).write_bytes(b"x" * 50)
    assert cache.held(entry("aa1"), 100) is None
    put(cache, "aa1")
    assert (tmp_path / entry("aa1")).stat().st_size == 100


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    cache = strict(tmp_path, 300)

    def fail(draft: Path) -> None:
        fill(draft, 100)
        raise DatasetError("broken")

    with pytest.raises(DatasetError, match="broken"):
        cache.obtain(entry("aa1"), 100, fail)
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert left == []
    put(cache, "bb2", 300)


DIE = """
import os, sys
from pathlib import Path
from qoqdata.remote.cache import Cache
def write(draft):
    draft.write_bytes(b"x" * 50)
    os.kill(os.getpid(), 9)
Cache(Path(sys.argv[1]), 300).obtain(sys.argv[2], 300, write)
"""


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    cache = strict(tmp_path, 300)
    done = subprocess.run([sys.executable, "-c", DIE, str(tmp_path), entry("aa1")])
    assert done.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob("shards/*/.*.tmp"))) == 1
    assert [path.stat().st_size for path in (tmp_path / "reserved").iterdir()] == [300]
    put(cache, "bb2", 300)
    assert not list(tmp_path.glob("shards/*/.*.tmp"))
    assert not list((tmp_path / "reserved").iterdir())
    put(cache, "aa1", 300)
    assert names(cache) == {"aa1"}


def test_downloads_under_way_count(tmp_path: Path) -> None:
    cache = strict(tmp_path, 300)

    def slow(draft: Path) -> None:
        fill(draft, 200)
        with pytest.raises(DatasetError, match="no room"):
            put(cache, "bb2", 200)
        put(cache, "cc3", 100)

    cache.obtain(entry("aa1"), 200, slow).close()
    assert names(cache) == {"aa1", "cc3"}


def test_a_download_that_is_just_done_counts_once(tmp_path: Path) -> None:
    cache = strict(tmp_path, 300)
    put(cache, "aa1", 200)
    with cache.guarded("aa1"):
        (tmp_path / "reserved" / "aa1").write_bytes(bytes(200))
        put(cache, "bb2", 100)
        assert names(cache) == {"aa1", "bb2"}


def test_room_is_waited_for_while_others_download(tmp_path: Path) -> None:
    cache = Cache(tmp_path, 300)
    begun = threading.Event()

    def slow(draft: Path) -> None:
        begun.set()
        time.sleep(0.3)
        fill(draft, 200)

    def first() -> None:
        cache.obtain(entry("aa1"), 200, slow).close()

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait()
    put(cache, "bb2", 200)
    thread.join()
    assert names(cache) == {"bb2"}


COUNT = """
import sys, time
from pathlib import Path
from qoqdata.remote.cache import Cache
def write(draft):
    with open(sys.argv[3], "a") as log:
        log.write("written\\n")
    time.sleep(0.3)
    draft.write_bytes(b"x" * 100)
with Cache(Path(sys.argv[1]), 300).obtain(sys.argv[2], 100, write) as entry:
    assert entry.read() == b"x" * 100
"""


def test_processes_write_an_entry_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", COUNT, str(tmp_path / "cache"), entry("aa1"), str(log)]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    assert log.read_text() == "written\n"


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 120), st.booleans()), max_size=25
    )
)
def test_never_over_the_bound(
    tmp_path_factory: pytest.TempPathFactory, uses: list[tuple[str, int, bool]]
) -> None:
    cache = strict(tmp_path_factory.mktemp("cache"), 300)
    held: dict[str, int] = {}
    entries = []
    try:
        for letter, size, keep in uses:
            name = f"{letter}{letter}{size}"
            try:
                found = cache.obtain(entry(name), size, lambda draft, size=size: fill(draft, size))
            except DatasetError:
                # Refused only when what is in use leaves no room.
                assert sum(held.values()) - held.get(name, 0) + size > 300
                continue
            if keep:
                held.setdefault(name, size)
                entries.append(found)
            else:
                found.close()
            paths = list((cache.root / "shards").glob("*/*"))
            assert sum(path.stat().st_size for path in paths) <= 300
            assert set(held) <= {path.name for path in paths}
    finally:
        while entries:
            entries.pop().close()


def test_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QOQDATA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Cache.settled() == Cache(tmp_path / "qoqdata", DEFAULT_BYTES)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Cache.settled().root == tmp_path / "home" / ".cache" / "qoqdata"
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "mine"))
    monkeypatch.setenv("QOQDATA_CACHE_BYTES", "77")
    assert Cache.settled() == Cache(tmp_path / "mine", 77)
    assert Cache.settled(tmp_path, 5) == Cache(tmp_path, 5)


@pytest.mark.parametrize("size", ["0", "-1", "50 GB", "1e9"])
def test_what_is_no_size(monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    monkeypatch.setenv("QOQDATA_CACHE_BYTES", size)
    with pytest.raises(UsageError, match=r"is not a size.*50000000000"):
        Cache.settled()


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"cache cannot be written.*set QOQDATA_CACHE"):
        put(strict(tmp_path / "file" / "below", 300), "aa1")
