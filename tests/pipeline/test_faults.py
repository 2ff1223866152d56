"""What is tried again and how often, what is not, and the limits that the kernel keeps."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from PIL import Image, UnidentifiedImageError

from qoqdata.errors import BadTable, OverLimit, UnreadableFile, WorkerDied
from qoqdata.pipeline.faults import UnitFault, death, fault_of, given_up, may_retry
from qoqdata.pipeline.unit_limits import TimeIsUp, memory_bound, raising
from qoqdata.readers.limits import Limits

REPOSITORY = Path(__file__).parents[2]


def chained(outer: BaseException, *causes: BaseException) -> BaseException:
    before = outer
    for cause in causes:
        before.__cause__ = cause
        before = cause
    return outer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.EIO, "x"), "machine"),
        (chained(UnreadableFile("x"), ValueError(), OSError(errno.ESTALE, "x")), "machine"),
        (BadTable("cannot be parsed: Input/output error (os error 5)"), "machine"),
        (OSError("Unable to open file (errno = 28, error message = 'No space left')"), "machine"),
        (MemoryError(), "memory"),
        (OSError(errno.ENOMEM, "x"), "memory"),
        (chained(UnreadableFile("x"), MemoryError()), "memory"),
        (chained(UnreadableFile("x"), TimeIsUp()), "time"),
        (FileNotFoundError(errno.ENOENT, "x"), None),
        (PermissionError(errno.EACCES, "x"), None),
        (UnreadableFile("the file ends too early"), None),
        (OSError("image file is truncated (5 bytes not processed)"), None),
        (RecursionError(), None),
    ],
)
def test_the_fault_is_found_behind_the_words_of_a_reader(
    error: BaseException, kind: str | None
) -> None:
    fault = fault_of(error)
    assert (fault and fault.kind) == kind


def test_what_an_error_was_raised_for_is_looked_at_unless_it_says_not_to() -> None:
    def raised(*, hidden: bool) -> BaseException:
        try:
            try:
                raise MemoryError
            except MemoryError:
                if hidden:
                    raise UnreadableFile("x") from None
                raise UnreadableFile("x")  # noqa: B904
        except UnreadableFile as error:
            return error

    assert fault_of(raised(hidden=True)) is None
    assert fault_of(raised(hidden=False)) == UnitFault("memory", "MemoryError")
    assert fault_of(MemoryError("of 3 GB")) == UnitFault("memory", "of 3 GB")


def test_an_error_that_is_its_own_cause_ends() -> None:
    error = ValueError()
    error.__cause__ = error
    assert fault_of(error) is None


def test_damaged_files_are_no_fault_of_the_machine(tmp_path: Path) -> None:
    image = io.BytesIO()
    Image.new("L", (99, 99)).save(image, "PNG")
    for content in (b"", b"junk", image.getvalue()[:60]):
        with pytest.raises((OSError, UnidentifiedImageError)) as caught:
            Image.open(io.BytesIO(content)).load()
        assert fault_of(caught.value) is None
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more PAR1")
    with pytest.raises((OSError, pl.exceptions.PolarsError)) as damaged:
        pl.read_parquet(tmp_path / "x.parquet")
    assert fault_of(damaged.value) is None


@pytest.mark.parametrize(
    ("kind", "most"), [("time", 2), ("memory", 4), ("died", 4), ("machine", 4)]
)
def test_how_often_a_unit_is_tried(kind, most: int) -> None:
    faults = [UnitFault(kind, "x")] * most
    assert all(may_retry(faults[:count]) for count in range(1, most))
    assert not may_retry(faults)


def test_what_a_dead_process_died_of() -> None:
    assert death(-signal.SIGALRM).kind == "time"
    assert death(-signal.SIGSEGV) == UnitFault("died", "signal SIGSEGV")
    assert death(7) == UnitFault("died", "exit code 7")


def test_the_reason_of_quarantine_names_the_limit() -> None:
    limits = Limits(unit_seconds=1800, unit_bytes=2**30)
    errors = {kind: given_up(UnitFault(kind, "x"), "k", limits) for kind in ("time", "memory")}
    assert all(isinstance(error, OverLimit) for error in errors.values())
    assert "1,800 seconds" in str(errors["time"]) and "1,073,741,824" in str(errors["memory"])
    assert isinstance(given_up(UnitFault("died", "x"), "k", limits), WorkerDied)
    assert given_up(UnitFault("machine", "x"), "k", limits) is None


def test_half_of_the_memory_is_for_one_unit() -> None:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory_bound(Limits()) <= pages // 2
    assert memory_bound(Limits(unit_bytes=5)) == 5


def run(script: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True
    )


def test_the_kernel_ends_what_holds_the_interpreter() -> None:
    script = """
from qoqdata.pipeline.unit_limits import killing
import re
with killing(0.2):
    pass
with killing(0.2):
    re.match(r"(a+)+$", "a" * 60 + "b")
"""
    assert run(script).returncode == -signal.SIGALRM


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels bound no memory")
def test_the_kernel_bounds_memory_for_the_while() -> None:
    script = """
from qoqdata.pipeline.unit_limits import killing
held = bytearray(2**28)
with killing(60, 2**26):
    bytearray(2**25)
    try:
        bytearray(2**27)
    except MemoryError:
        print("refused")
print(len(bytearray(2**27)))
"""
    assert run(script).stdout.split() == ["refused", str(2**27)]


def test_a_timer_that_was_set_before_is_set_again() -> None:
    left, interval = signal.setitimer(signal.ITIMER_REAL, 500, 7)
    handler = signal.getsignal(signal.SIGALRM)
    try:
        with raising(60, print) as in_time, in_time:
            assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 60
        after, every = signal.getitimer(signal.ITIMER_REAL)
        assert 60 < after <= 500 and every == 7
        assert signal.getsignal(signal.SIGALRM) == handler
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)


def test_each_thing_has_its_own_time_and_what_lies_between_has_none() -> None:
    told: list[float] = []

    def hang() -> None:
        with in_time:
            while True:
                pass

    with raising(0.2, told.append) as in_time:
        for _ in range(2):
            with pytest.raises(TimeIsUp):
                hang()
            # The timer that it left behind goes off here, and longer work than it may follow.
            time.sleep(0.3)
            signal.raise_signal(signal.SIGALRM)
        for _ in range(4):
            with in_time:
                time.sleep(0.1)
    assert told == []
