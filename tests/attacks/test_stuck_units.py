"""Units that hang, hog memory, die, exit or meet a failing disk cost themselves alone."""

from __future__ import annotations

import os
from asyncio import CancelledError
from pathlib import Path

import pytest

from qoqdata import console
from qoqdata.errors import UnfinishedBuild
from qoqdata.pipeline import progress, unit_limits, workers
from qoqdata.pipeline.interrupts import is_persons
from qoqdata.readers.limits import Limits
from tests.attacks import unruly_source
from tests.attacks.unruly_source import ALWAYS, beside, build, raw_units, shards, tries, unruly
from tests.pipeline.converters_by_hand import left_out

ONE_SECOND = Limits(unit_seconds=1)


def raw(tmp_path: Path, slug: str = "films", **units: str) -> Path:
    return raw_units(tmp_path / slug / "raw", **units)


def fine(tmp_path: Path) -> dict[str, str]:
    """The shards of the same raw folder once nothing misbehaves any more."""
    return shards(build(tmp_path, unruly(), out="fine"))


@pytest.mark.parametrize("fault", ["disk", "full", "stale", "memory"])
def test_a_fault_that_passes_costs_nothing(tmp_path: Path, fault: str) -> None:
    """It comes three times, and the third retry goes well."""
    folder = raw(tmp_path, a="0", b=f"3 {fault}", c="0")
    manifest = build(tmp_path, unruly())
    assert manifest.sources["films"].counts.records == 3
    assert tries(folder, "b.txt") == 3
    assert left_out(tmp_path) == {}
    assert shards(manifest) == fine(tmp_path)


@pytest.mark.parametrize("fault", ["disk", "full", "stale"])
def test_a_disk_that_goes_on_failing_leaves_the_chunk_for_the_next_build(
    tmp_path: Path, fault: str
) -> None:
    folder = raw(tmp_path, a="0", b=f"4 {fault}")
    raw(tmp_path, "good", a="0", b="0")
    events: list = []
    with pytest.raises(UnfinishedBuild, match=r"films/train-00000 \(b\.txt: OSError: ") as caught:
        build(tmp_path, unruly(), unruly("good"), events=events)
    assert str(tmp_path) not in str(caught.value)
    assert tries(folder, "b.txt") == 4
    assert [one.chunk for one in events if isinstance(one, progress.ChunkUnfinished)] == [
        "train-00000"
    ]
    root = tmp_path / "set"
    assert not (root / "manifest.json").exists()
    assert not (root / ".build/receipts/films/train-00000.json").exists()
    assert not (root / "quarantine/films.parquet").exists()
    # The other source is done, and this one is tried again.
    events.clear()
    manifest = build(tmp_path, unruly(), unruly("good"), events=events)
    reused = {one.source: one.reused for one in events if isinstance(one, progress.Finished)}
    assert reused == {"films": False, "good": True}
    assert manifest.sources["films"].counts.records == 2


def test_memory_that_is_never_enough_is_a_reason(tmp_path: Path) -> None:
    folder = raw(tmp_path, a="0", b=f"{ALWAYS} memory")
    manifest = build(tmp_path, unruly())
    assert manifest.sources["films"].counts.records == 1
    row = left_out(tmp_path)["b.txt"]
    assert (row["reason"], row["error"]) == ("over_limit", "OverLimit")
    assert "raise limits.unit_bytes" in row["message"]
    assert tries(folder, "b.txt") == 4


@pytest.mark.parametrize("what", ["sys.exit", "interrupt", "panic", "recurse"])
def test_what_a_converter_raises_ends_its_unit_only(tmp_path: Path, what: str) -> None:
    folder = raw(tmp_path, a="0", b=f"{ALWAYS} {what}", c="0")
    assert build(tmp_path, unruly()).sources["films"].counts.records == 2
    assert left_out(tmp_path)["b.txt"]["reason"] == "converter_error"
    assert tries(folder, "b.txt") == 1


def test_ctrl_c_is_a_persons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    raw(tmp_path, a="1 kill", b="0")
    press = {"kill": lambda: os.kill(os.getpid(), signal.SIGINT)}
    monkeypatch.setattr(unruly_source, "BAD", press)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, unruly())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert build(tmp_path, unruly()).sources["films"].counts.records == 2


def test_a_wish_to_stop_from_outside_ends_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a test that runs out of time or a task that is cancelled: no unit is at fault."""

    def cancel() -> None:
        raise CancelledError

    raw(tmp_path, a="1 cancel", b="0")
    monkeypatch.setattr(unruly_source, "BAD", {"cancel": cancel})
    with pytest.raises(CancelledError):
        build(tmp_path, unruly())
    assert build(tmp_path, unruly()).sources["films"].counts.records == 2


def test_a_panic_of_a_decoder_is_a_converters() -> None:
    panic = type("PanicException", (BaseException,), {})
    assert not is_persons(panic("index out of range"))
    assert is_persons(pytest.fail.Exception("Timeout (>900.0s) from pytest-timeout."))


def test_a_unit_that_sleeps_in_the_callers_process_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_limits, "SLOW", 0.3)
    events: list = []
    folder = raw(tmp_path, a="0", b=f"{ALWAYS} sleep", c="0")
    manifest = build(tmp_path, unruly(), limits=ONE_SECOND, events=events)
    assert manifest.sources["films"].counts.records == 2
    assert named(events) == {("films", "b.txt")}
    row = left_out(tmp_path)["b.txt"]
    assert row["reason"] == "over_limit" and "longer than 1 seconds" in row["message"]
    assert tries(folder, "b.txt") == 2


def test_limits_of_a_run_keep_shards_and_raised_ones_give_a_stopped_unit_another_try(
    tmp_path: Path,
) -> None:
    folder = raw(tmp_path, a="0", b="4 memory")
    (tmp_path / "more" / "raw").mkdir(parents=True)
    (tmp_path / "more" / "raw" / "a.txt").write_text("0")

    def run(**limits: int) -> tuple[int, dict[str, bool]]:
        events: list = []
        made = build(tmp_path, unruly(), unruly("more"), events=events, limits=Limits(**limits))
        reused = {one.source: one.reused for one in events if isinstance(one, progress.Finished)}
        return made.sources["films"].counts.records, reused

    assert run(unit_bytes=2**30) == (1, {"films": False, "more": False})
    assert run(unit_bytes=2**29, unit_seconds=900) == (1, {"films": True, "more": True})
    assert run(unit_bytes=2**31) == (2, {"films": False, "more": True})
    assert tries(folder, "b.txt") == 4


def named(events: list) -> set[tuple[str, str]]:
    """The units that were told to take long."""
    return {(one.source, one.what) for one in events if isinstance(one, progress.InWork)}


def test_units_that_hang_or_die_cost_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One build on a worker process: a hang that no thread can see, and one lost worker."""
    monkeypatch.setattr(workers, "SLOW", 0.2)
    monkeypatch.setattr(workers, "_LOOK", 0.1)
    events: list = []
    folder = raw(tmp_path, a="0", b=f"{ALWAYS} hold", c="1 kill", d="0")
    manifest = build(tmp_path, unruly(), workers=1, limits=ONE_SECOND, events=events)
    assert ("films", "b.txt") in named(events)
    assert manifest.sources["films"].counts.records == 3
    rows = left_out(tmp_path)
    assert set(rows) == {"b.txt"} and rows["b.txt"]["reason"] == "over_limit"
    assert (tries(folder, "b.txt"), tries(folder, "c.txt")) == (2, 1)
    assert not list((tmp_path / "set").rglob("*.tmp"))


def test_the_console_names_what_is_in_work_and_what_is_unfinished(
    capsys: pytest.CaptureFixture,
) -> None:
    with console.listener() as listen:
        listen(progress.InWork("films", "its plan", 45))
        listen(progress.InWork("films", "b.txt", 1234))
        listen(progress.ChunkUnfinished("films", "train-00000", "b.txt: OSError: Stale"))
    assert capsys.readouterr().err.splitlines() == [
        "films: its plan in work for 45 seconds",
        "films: b.txt in work for 1,234 seconds",
        "films: train-00000 unfinished: b.txt: OSError: Stale",
    ]


@pytest.mark.slow
def test_everything_at_once_on_workers(tmp_path: Path) -> None:
    bad = {
        "hold": "over_limit",
        "sleep": "over_limit",
        "hog": "over_limit",
        "kill": "worker_died",
        "exit": "worker_died",
        "overflow": "worker_died",
        "sys.exit": "converter_error",
        "interrupt": "converter_error",
        "panic": "converter_error",
        "recurse": "converter_error",
    }
    units = {f"x{number}": f"{ALWAYS} {what}" for number, what in enumerate(bad)}
    passing = {what: f"2 {what}" for what in ("kill", "hog", "disk", "stale", "memory", "exit")}
    left_running = {"thread": f"{ALWAYS} thread"}
    good = {f"good{number}": "0" for number in range(20)}
    folder = raw(tmp_path, **units, **passing, **left_running, **good)
    limits = Limits(unit_seconds=5, unit_bytes=2**30)
    manifest = build(tmp_path, unruly(), workers=2, limits=limits, shard_units=8)
    assert {key: row["reason"] for key, row in left_out(tmp_path).items()} == {
        f"x{number}.txt": reason for number, reason in enumerate(bad.values())
    }
    counts = manifest.sources["films"].counts
    assert counts.records == len(passing) + len(left_running) + len(good)
    assert {key: tries(folder, f"{key}.txt") for key in passing} == dict.fromkeys(passing, 2)
    assert not list((tmp_path / "set").rglob("*.tmp"))
    # The same bytes as of a build in which these fail at once and nothing else does.
    for key in units:
        (folder / f"{key}.txt").write_text(f"{ALWAYS} sys.exit")
    # In this process a thread that is left running would keep the tests from their end.
    for key in left_running:
        beside(folder, f"{key}.txt").write_text("0\n" * ALWAYS)
    assert shards(manifest) == shards(build(tmp_path, unruly(), out="calm", shard_units=8))
