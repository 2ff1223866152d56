"""Disks, mounts and clocks that fail while a set is built: one clear error, and nothing lost."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from qoqdata import atomic
from qoqdata.errors import QoqdataError, UnfinishedBuild, UsageError
from qoqdata.layout import Layout
from qoqdata.pipeline import parts, progress
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.parts import Part, build_part, finish
from qoqdata.pipeline.place import FolderPlace
from qoqdata.sources import catalogue
from tests.pipeline.conftest import SALT

Films = Callable[..., SourceRequest]
HERE = BuildSetting(SALT, workers=0)
#: A full disk, one closed for writing, a stale handle, a quota, a disk that is going.
OF_A_DISK = (errno.ENOSPC, errno.EROFS, errno.ESTALE, errno.EDQUOT, errno.EIO)


def config(request: SourceRequest) -> BuildConfig:
    return BuildConfig(name="films", sources=(request,), shard_units=4)


def whole(asked: BuildConfig, out: Path) -> None:
    build(asked, out, HERE)


def in_parts(asked: BuildConfig, out: Path) -> None:
    pairs = [(catalogue.find_source(one.source), one) for one in asked.sources]
    parts.plan(pairs, out, HERE, asked)
    build_part(out, Part(1, 1), HERE)
    finish(out, HERE)


def files(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != "lock" and not {"plan", "sources"} & set(path.parts)
    }


@contextmanager
def failing_writes(number: int, after: int) -> Iterator[list[int]]:
    """Every file that is written whole fails to reach the disk, but for the first `after`."""
    calls: list[int] = []
    fsync = os.fsync

    def failing(handle: int) -> None:
        calls.append(handle)
        if len(calls) > after:
            raise OSError(number, os.strerror(number))
        fsync(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.os, "fsync", failing)
        yield calls


@pytest.mark.parametrize("run", [whole, in_parts])
@pytest.mark.parametrize("number", OF_A_DISK)
def test_a_disk_that_fails_at_some_write(
    films: Films, tmp_path: Path, number: int, run: Callable[[BuildConfig, Path], None]
) -> None:
    """Whichever write it is from which on nothing more can be written."""
    asked = config(films(9))
    with failing_writes(number, 10**6) as calls:
        run(asked, tmp_path / "sound" / "set")
    sound, last = files(tmp_path / "sound" / "set"), len(calls)
    assert last > 10
    first = OF_A_DISK.index(number)
    for after in sorted({first, (last + first) // 3, last // 2 + first, last - 1 - first}):
        out = tmp_path / f"after-{after}" / "set"
        with failing_writes(number, after), pytest.raises((QoqdataError, OSError)) as told:
            run(asked, out)
        assert os.strerror(number) in str(told.value) and "\n" not in str(told.value)
        # The command names the file where the error does not.
        assert isinstance(told.value, QoqdataError) or told.value.filename
        # Where only the folder of the manifest was not written, the set is whole.
        assert not (out / "manifest.json").exists() or files(out) == sound
        run(asked, out)
        assert files(out) == sound


@pytest.mark.parametrize("number", [errno.ESTALE, errno.ENOTCONN, errno.EHOSTDOWN, errno.EIO])
def test_raw_files_on_a_mount_that_fails(
    films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    asked = config(films(9))
    opened = Path.open

    def failing(path: Path, *more: Any, **named: Any) -> Any:
        if path.name == "0004.png":
            raise OSError(number, os.strerror(number), str(path))
        return opened(path, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing)
        with pytest.raises(UnfinishedBuild, match="the machine failed") as told:
            build(asked, tmp_path / "set", HERE)
    assert os.strerror(number) in str(told.value)
    manifest = build(asked, tmp_path / "set", HERE)
    assert manifest.sources["films"].counts.quarantined == 0
    build(asked, tmp_path / "sound" / "set", HERE)
    assert files(tmp_path / "set") == files(tmp_path / "sound" / "set")


@pytest.mark.parametrize("left", ["an empty folder", "nothing"])
def test_a_mount_that_vanishes(films: Films, tmp_path: Path, left: str) -> None:
    """Files that went with it are not in quarantine as missing."""
    request = films(9)
    asked = config(request)

    def listen(event: progress.Event) -> None:
        if isinstance(event, progress.Finished) and not (tmp_path / "away").exists():
            request.raw.rename(tmp_path / "away")
            if left == "an empty folder":
                request.raw.mkdir()

    with pytest.raises(UnfinishedBuild, match="the raw folder is empty or gone"):
        build(asked, tmp_path / "set", replace(HERE, listen=listen))
    shutil.rmtree(request.raw, ignore_errors=True)
    (tmp_path / "away").rename(request.raw)
    manifest = build(asked, tmp_path / "set", HERE)
    assert manifest.sources["films"].counts.quarantined == 0
    build(asked, tmp_path / "sound" / "set", HERE)
    assert files(tmp_path / "set") == files(tmp_path / "sound" / "set")


@pytest.mark.parametrize("left", ["an empty folder", "nothing"])
@pytest.mark.parametrize("after", [1, 3])
@pytest.mark.parametrize("workers", [0, 1])
def test_the_folder_of_the_set_vanishes(
    films: Films, tmp_path: Path, after: int, workers: int, left: str
) -> None:
    """As an unmounted disk does: nothing is written in its place that looks like the set."""
    asked, out, away = config(films(9)), tmp_path / "set", tmp_path / "away"
    finished: list[progress.Event] = []

    def listen(event: progress.Event) -> None:
        if isinstance(event, progress.Finished):
            finished.append(event)
            if len(finished) == after:
                out.rename(away)
                if left == "an empty folder":
                    out.mkdir()

    setting = replace(HERE, workers=workers, listen=listen)
    with pytest.raises(UnfinishedBuild, match="was removed or unmounted") as told:
        build(asked, out, setting)
    assert "\n" not in str(told.value) and str(out) in str(told.value)
    assert not (out / "manifest.json").exists() and not list(out.rglob("quarantine/*"))
    shutil.rmtree(out, ignore_errors=True)
    away.rename(out)
    events: list[progress.Event] = []
    build(asked, out, replace(HERE, listen=events.append))
    reused = [one for one in events if isinstance(one, progress.Finished) and one.reused]
    assert len(reused) >= after
    build(asked, tmp_path / "sound" / "set", HERE)
    assert files(out) == files(tmp_path / "sound" / "set")


def test_a_part_whose_folder_vanishes(films: Films, tmp_path: Path) -> None:
    asked, out = config(films(9)), tmp_path / "set"
    pairs = [(catalogue.find_source(one.source), one) for one in asked.sources]
    parts.plan(pairs, out, HERE, asked)

    def listen(event: progress.Event) -> None:
        if isinstance(event, progress.Finished) and not (tmp_path / "away").exists():
            out.rename(tmp_path / "away")

    with pytest.raises(UnfinishedBuild, match="or the folder is gone"):
        build_part(out, Part(1, 1), replace(HERE, listen=listen))
    shutil.rmtree(out, ignore_errors=True)
    (tmp_path / "away").rename(out)
    build_part(out, Part(1, 1), HERE)
    finish(out, HERE)
    whole(asked, tmp_path / "sound" / "set")
    assert files(out) == files(tmp_path / "sound" / "set")


def test_a_clock_that_jumps(films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Years ahead and back, at every look at it."""
    asked = config(films(9))
    build(asked, tmp_path / "sound" / "set", HERE)
    jumps = cycle([0.0, 3e8, -3e8])
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps))
    for run in (whole, in_parts):
        out = tmp_path / run.__name__ / "set"
        run(asked, out)
        events: list[progress.Event] = []
        build(asked, out, replace(HERE, listen=events.append))
        assert all(one.reused for one in events if isinstance(one, progress.Finished))
        assert files(out) == files(tmp_path / "sound" / "set")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
@pytest.mark.parametrize("call", ["mkdir", "chmod", "acquire"])
def test_an_output_folder_that_is_closed_is_a_wrong_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    """Whatever closes it, and wherever that shows: nothing was done yet."""

    def closed(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), str(tmp_path / "set"))

    (tmp_path / "set").mkdir()
    place = FolderPlace(Layout(tmp_path / "set"))
    monkeypatch.setattr(FileLock if call == "acquire" else Path, call, closed)
    why = f"no folder can be made there: {os.strerror(number).lower()}. Fix: see who may write"
    with pytest.raises(UsageError, match=why), place.alone():
        pass


def test_a_folder_that_is_closed_later_is_no_wrong_argument(tmp_path: Path) -> None:
    """The work in it is unfinished, and the folder is free for the next command."""
    place = FolderPlace(Layout(tmp_path / "set"))
    with pytest.raises(OSError, match="Read-only"), place.alone():
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
    with place.alone():
        pass


def test_a_disk_that_is_full_at_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command goes on once there is room."""

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(OSError, match="No space"), FolderPlace(Layout(tmp_path / "set")).alone():
        pass
