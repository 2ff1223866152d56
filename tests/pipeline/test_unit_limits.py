"""The bounds of a unit as the kernel keeps them, in this process."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qoqdata.pipeline import unit_limits
from qoqdata.pipeline.unit_limits import killing, memory_bound
from qoqdata.readers.limits import Limits

linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks the Linux kernel")
_MUCH = 2**30


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handler, limits = signal.getsignal(signal.SIGALRM), resource.getrlimit(resource.RLIMIT_DATA)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_DATA, limits)


@linux
def test_no_more_memory_than_the_bound() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with killing(600, _MUCH // 4), pytest.raises(MemoryError):
        np.empty(_MUCH, np.uint8)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with killing(600, 4 * _MUCH):
        assert len(np.empty(_MUCH, np.uint8)) == _MUCH
    with killing(600):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@linux
def test_the_kernel_tells_the_memory_of_now() -> None:
    told = Path("/proc/self/status").read_text().partition("VmData:")[2].split()[0]
    before = unit_limits._data_bytes() or 0
    assert abs(before - int(told) * 1024) < _MUCH // 4
    held = np.empty(_MUCH, np.uint8)
    assert (unit_limits._data_bytes() or 0) - before >= len(held)


@linux
def test_a_closer_bound_of_whoever_started_us_stands() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    closer = (unit_limits._data_bytes() or 0) + 3 * _MUCH
    resource.setrlimit(resource.RLIMIT_DATA, (closer, hard))
    with killing(600, 100 * _MUCH):
        assert resource.getrlimit(resource.RLIMIT_DATA) == (closer, hard)
    with killing(600, 1):
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] < closer


@pytest.mark.parametrize(
    ("confined", "share"), [("max", 1.0), ("2147483648", None), ("9" * 20, 1.0), (None, 1.0)]
)
def test_memory_of_the_machine_or_of_its_control_group(
    monkeypatch: pytest.MonkeyPatch, confined: str | None, share: float | None
) -> None:
    whole = Path.read_text

    def read_text(path: Path, *args: str, **more: str) -> str:
        if str(path) != "/sys/fs/cgroup/memory.max":
            return whole(path, *args, **more)
        if confined is None:
            raise FileNotFoundError(path)
        return f"{confined}\n"

    pages = unit_limits.os.sysconf("SC_PHYS_PAGES") * unit_limits.os.sysconf("SC_PAGE_SIZE")
    wanted = 2**31 if share is None else int(pages * share)
    monkeypatch.setattr(Path, "read_text", read_text)
    unit_limits._machine_bytes.cache_clear()
    try:
        assert memory_bound(Limits()) == min(wanted, pages) // 2
        assert memory_bound(Limits(unit_bytes=7)) == 7
    finally:
        unit_limits._machine_bytes.cache_clear()
