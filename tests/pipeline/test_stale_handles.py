"""Raw files behind a stale handle: whichever call says so, no record is lost and none is wrong."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from qoqdata.errors import QoqdataError, UnfinishedBuild
from qoqdata.pipeline import expectations
from qoqdata.pipeline.faults import fault_of
from qoqdata.sources.rawtree import open_raw
from tests.pipeline.test_failing_systems import Films, config, files, in_parts, whole

CALLS = ("lstat", "stat", "scandir", "open", "read")


class Stale(io.FileIO):
    """A file whose handle went stale once it was open."""

    def readinto(self, buffer: Any) -> int:
        raise stale(self.name)

    def readall(self) -> bytes:
        raise stale(self.name)

    def read(self, size: int | None = -1) -> bytes:
        raise stale(self.name)


def stale(path: object) -> OSError:
    return OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))


@contextmanager
def failing(call: str, below: Path, begin: int, end: int) -> Iterator[list[int]]:
    """Calls number `begin` to `end` of what is below a folder fail."""
    numbers: list[int] = []

    def fails(path: object) -> bool:
        if not isinstance(path, str | os.PathLike) or not f"{os.fspath(path)}/".startswith(
            f"{below}/"
        ):
            return False
        numbers.append(len(numbers))
        return begin <= numbers[-1] < end

    with pytest.MonkeyPatch.context() as patch:
        if call in ("open", "read"):
            opened = io.open

            def opening(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
                if not fails(file):
                    return opened(file, mode, *more, **named)
                if call == "open":
                    raise stale(file)
                if "b" in mode:
                    return io.BufferedReader(Stale(file))
                return io.TextIOWrapper(io.BufferedReader(Stale(file)))

            patch.setattr(io, "open", opening)
            patch.setattr("builtins.open", opening)
        else:
            real = getattr(os, call)

            def calling(path: Any = ".", *more: Any, **named: Any) -> Any:
                if fails(path):
                    raise stale(path)
                return real(path, *more, **named)

            patch.setattr(os, call, calling)
        yield numbers


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("lasts", [1, 10**6])
@pytest.mark.parametrize("run", [whole, in_parts])
def test_a_stale_handle_quarantines_nothing(
    films: Films, tmp_path: Path, call: str, lasts: int, run: Callable[..., None]
) -> None:
    request = films(6)
    asked = config(request)
    with failing(call, request.raw, 0, 0) as numbers:
        run(asked, tmp_path / "sound" / "set")
    sound, calls = files(tmp_path / "sound" / "set"), len(numbers)
    assert calls
    places = {0, 1, 2, 3, calls // 4, calls // 3, calls // 2, 2 * calls // 3, calls - 2, calls - 1}
    for begin in sorted(place for place in places if place >= 0):
        out = tmp_path / f"from-{begin}" / "set"
        failure = None
        with failing(call, request.raw, begin, begin + lasts):
            try:
                run(asked, out)
            except (QoqdataError, OSError) as error:
                failure = error
        if failure is None:
            assert files(out) == sound, begin
            continue
        # What is told is the fault, and that of no file: nothing of it is a set.
        assert isinstance(failure, OSError | UnfinishedBuild), begin
        assert os.strerror(errno.ESTALE) in str(failure) and "\n" not in str(failure), begin
        assert not (out / "manifest.json").exists(), begin
        run(asked, out)
        assert files(out) == sound, begin


def test_a_table_that_the_card_counts(films: Films) -> None:
    """It is compared once all is converted: what cannot be looked at is told, not left out."""
    raw = films(6).raw
    with failing("lstat", raw, 0, 10**6), pytest.raises((QoqdataError, OSError)) as told:
        expectations._rows(open_raw(raw), "labels.csv")
    assert fault_of(told.value) is not None
    assert expectations._rows(open_raw(raw), "labels.csv") == 6
    assert expectations._rows(open_raw(raw), "none.csv") is None
