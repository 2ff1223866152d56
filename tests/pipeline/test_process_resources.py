"""What a process that converts takes of its machine."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from qoqdata.pipeline import process_resources
from qoqdata.pipeline.worker_process import Worker
from qoqdata.records.content import Record
from qoqdata.sources.protocol import Job, Unit
from tests.pipeline import toys

#: Pages that the system clears for blocks that come and go, once all have been there.
_BLOCKS = """
import resource, sys
from qoqdata.pipeline.process_resources import keep_memory
if sys.argv[1] == "kept":
    keep_memory()

def come_and_go():
    blocks = [b"x" * 3_000_000 for _ in range(8)]

for _ in range(3):
    come_and_go()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    come_and_go()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_memory_that_is_kept_is_not_cleared_again() -> None:
    given_back, kept = (_cleared(which) for which in ("given back", "kept"))
    assert given_back > 10 * 8 * 3_000_000 / 4096 / 2
    assert kept < given_back / 20


def _cleared(which: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _BLOCKS, which], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def test_a_caller_has_threads_and_collector_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = []

    def convert(unit: Unit, job: Job) -> list[Record]:
        inside.append((cv2.getNumThreads(), gc.get_freeze_count() > 0))
        return toys.convert(unit, job)

    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        raw = toys.raw_tree(tmp_path / "raw", [("s1", "p1", ""), ("s2", "p2", "")])
        toys.run(tmp_path / "set", (toys.toy("notes", convert), raw))
        assert inside == [(1, True)] * 2
        assert (cv2.getNumThreads(), gc.get_freeze_count()) == (2, 0)
    finally:
        cv2.setNumThreads(before)


def test_a_worker_settles_before_its_first_task() -> None:
    worker = Worker(toys.toy("notes"))
    try:
        worker.send(cv2.getNumThreads)
        assert worker.receive(60) == 1
    finally:
        worker.end()


def test_a_worker_that_plans_reads_no_image() -> None:
    worker = Worker(toys.toy("notes"), converts=False)
    try:
        worker.send(eval, "[name in __import__('sys').modules for name in ('cv2', 'numpy')]")
        assert worker.receive(60) == [False, True]
    finally:
        worker.end()


def test_elsewhere_than_on_linux_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_resources.sys, "platform", "darwin")
    monkeypatch.setattr(process_resources.ctypes, "CDLL", None)
    process_resources.keep_memory()
