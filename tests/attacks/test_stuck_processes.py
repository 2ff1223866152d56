"""Real kills: no worker outlives its parent, no draft outlives the next build, bytes stay."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qoqdata import atomic
from qoqdata.errors import UnfinishedBuild
from qoqdata.pipeline import conversion, progress
from tests.attacks.unruly_source import build, raw_units, shards, unruly, worker_of

REPOSITORY = Path(__file__).parents[2]


def wait_until(ready: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 300
    while not (found := ready()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_a_killed_build_leaves_no_worker_and_no_draft(tmp_path: Path) -> None:
    """The worker holds the interpreter in C, so that only the kernel can tell it."""
    raw = raw_units(tmp_path / "films" / "raw", a="1 hold", b="0", c="0")
    script = f"""
        from pathlib import Path
        from tests.attacks.unruly_source import build, unruly
        build(Path({str(tmp_path)!r}), unruly(), workers=1)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=REPOSITORY)
    worker = wait_until(lambda: worker_of(raw, "a.txt"))
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(worker))
    # What a process that was killed while it wrote has left.
    drafts = [
        tmp_path / "set" / folder / f".{name}.{worker}.tmp"
        for folder, name in (("meta", "films.parquet"), ("data/other", "x"), (".", "manifest.json"))
    ]
    mine = tmp_path / "set" / "meta" / f".other.parquet.{os.getpid()}.tmp"
    for draft in (*drafts, mine):
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(b"half")
    manifest = build(tmp_path, unruly())
    assert list((tmp_path / "set").rglob("*.tmp")) == [mine]
    assert shards(manifest) == shards(build(tmp_path, unruly(), out="fresh"))


def test_drafts_are_told_by_their_name(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    others = [f"x.{ended.pid}.tmp", f".x.{ended.pid}.bak", ".x.0.tmp", ".x.tmp", ".x.99.tmp.png"]
    for name in (*others, f".x.{ended.pid}.tmp", f".a.b.{ended.pid}.tmp", f".x.{10**30}.tmp"):
        (tmp_path / name).touch()
    atomic.remove_drafts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, f".x.{10**30}.tmp"])


def test_drafts_of_other_machines_are_left_for_a_day(tmp_path: Path) -> None:
    """A process of that number may run there; the folder is shared."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [f".x.{machine}-{ended.pid}.tmp" for machine in ("0" * 8, "abcdef12")]
    for name in names:
        (tmp_path / name).touch()
    then = time.time() - 2 * 86_400
    os.utime(tmp_path / names[1], (then, then))
    with atomic.replacing(tmp_path / "mine") as draft:
        draft.touch()
        own = draft.name.replace(str(os.getpid()), str(ended.pid))
        (tmp_path / own).touch()
        atomic.remove_drafts(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([names[0], draft.name])


def test_a_process_that_has_the_number_of_one_that_is_no_more(tmp_path: Path) -> None:
    """In a container every build may be process 7: a draft from before it began is not its own."""
    old, new = tmp_path / f".old.{os.getpid()}.tmp", tmp_path / f".new.{os.getpid()}.tmp"
    for draft in (old, new):
        draft.touch()
    os.utime(old, (0, 10**9))
    atomic.remove_drafts(tmp_path)
    assert new.exists() and old.exists() == (not Path("/proc/stat").exists())


def test_a_full_disk_leaves_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw_units(tmp_path / "films" / "raw", **dict.fromkeys("abcdefgh", "0"))
    whole = conversion.write_shard
    written: list[str] = []

    def write_shard(path: Path, *args: Any, **settings: Any) -> Any:
        if len(written) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written.append(path.stem)
        return whole(path, *args, **settings)

    monkeypatch.setattr(conversion, "write_shard", write_shard)
    with pytest.raises(UnfinishedBuild, match="No space left on device") as caught:
        build(tmp_path, unruly(), shard_units=1)
    assert "films/train-" in str(caught.value)
    receipts = {path.stem for path in (tmp_path / "set/.build/receipts/films").iterdir()}
    assert receipts == set(written)
    monkeypatch.undo()
    events: list = []
    manifest = build(tmp_path, unruly(), shard_units=1, events=events)
    reused = {one.chunk for one in events if isinstance(one, progress.Finished) and one.reused}
    assert reused == receipts
    assert shards(manifest) == shards(build(tmp_path, unruly(), out="fresh", shard_units=1))


def test_a_disk_that_is_full_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw_units(tmp_path / "films" / "raw", a="0", b="0")
    whole, full = atomic.os.fsync, [errno.ENOSPC, errno.EIO, errno.EDQUOT]

    def fsync(handle: int) -> None:
        if full:
            raise OSError(full.pop(), "for a moment")
        whole(handle)

    raw_tree = shards(build(tmp_path, unruly(), out="fresh"))
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "write_shard", _with(fsync, patch, conversion.write_shard))
        assert shards(build(tmp_path, unruly())) == raw_tree
    assert full == []


def _with(fsync: Callable[[int], None], patch: pytest.MonkeyPatch, write: Any) -> Any:
    def write_shard(*args: Any, **settings: Any) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(atomic.os, "fsync", fsync)
            return write(*args, **settings)

    return write_shard


@pytest.mark.slow
def test_workers_that_are_killed_at_random_change_no_byte(tmp_path: Path) -> None:
    units = {f"u{number:03}": "0" for number in range(60)}
    raw = raw_units(tmp_path / "films" / "raw", **units)
    for number in range(0, 60, 7):
        (raw / f"u{number:03}.txt").write_text("1 sleep")
    script = f"""
        from pathlib import Path
        from tests.attacks.unruly_source import build, unruly
        build(Path({str(tmp_path)!r}), unruly(), workers=2, shard_units=4)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], cwd=REPOSITORY)
    # Whichever of them sleeps is killed from outside, as the OOM killer would.
    killed: set[int] = set()
    keys = [f"u{number:03}.txt" for number in range(0, 60, 7)]
    while process.poll() is None:
        for key in keys:
            worker = worker_of(raw, key)
            if worker is not None and worker not in killed and is_running(worker):
                os.kill(worker, signal.SIGKILL)
                killed.add(worker)
        time.sleep(0.01)
    assert process.returncode == 0 and killed
    manifest = build(tmp_path, unruly(), shard_units=4)
    assert manifest.sources["films"].counts.records == 60
    assert shards(manifest) == shards(build(tmp_path, unruly(), out="fresh", shard_units=4))
