"""Raw files that change while a build reads them never pass as what they were."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from qoqdata.contract.manifest import Manifest
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildSetting, SourceRequest
from qoqdata.pipeline.planning import make_plan
from qoqdata.records.content import Record
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Job, Source, Unit
from tests.pipeline.conftest import SALT

Films = Callable[..., SourceRequest]
SOURCE = catalogue.find_source("image_table")


def run(out: Path, source: Source, request: SourceRequest) -> Manifest:
    return build_requests([(source, request)], out, BuildSetting(SALT, workers=0))


def overwriting(key: str, content: bytes) -> Source:
    """The source, which finds the file of one unit overwritten when it comes to read it."""

    def convert(unit: Unit, job: Job) -> list[Record]:
        if unit.key == key:
            (job.raw.root / key).write_bytes(content)
        return SOURCE.convert(unit, job)

    return replace(SOURCE, convert=convert)


def test_a_file_that_changes_while_it_is_read_is_quarantined(films: Films, tmp_path: Path) -> None:
    request = films(6)
    other = (request.raw / "0005.png").read_bytes()
    source = overwriting("0002.png", other)
    counts = run(tmp_path / "set", source, request).sources["films"].counts
    assert (counts.converted, counts.quarantined) == (5, 1)
    (row,) = pl.read_parquet(tmp_path / "set/quarantine/films.parquet").to_dicts()
    assert (row["unit"], row["stage"], row["reason"]) == ("0002.png", "convert", "unreadable_file")
    assert "its files changed while they were read" in row["message"]
    # Once nothing moves, the same command takes the unit in.
    again = run(tmp_path / "set", SOURCE, request)
    assert again.sources["films"].counts.converted == 6
    assert again.digest == run(tmp_path / "fresh", SOURCE, request).digest


def test_a_file_that_was_another_for_a_moment_does_not_pass(films: Films, tmp_path: Path) -> None:
    """It is put back, with its old time, before the next build: stamps alone would tell nothing."""
    request = films(6)
    path, kept = request.raw / "0002.png", (request.raw / "0002.png").read_bytes()
    status = path.stat()
    other = (request.raw / "0005.png").read_bytes()
    source = overwriting("0002.png", other)
    counts = run(tmp_path / "set", source, request).sources["films"].counts
    assert (counts.converted, counts.quarantined) == (5, 1)
    path.write_bytes(kept)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    again = run(tmp_path / "set", SOURCE, request)
    assert again.sources["films"].counts.converted == 6
    assert again.digest == run(tmp_path / "fresh", SOURCE, request).digest


def test_a_file_replaced_after_planning_is_built_as_it_is_then(
    films: Films, tmp_path: Path
) -> None:
    request = films(6)
    other = (request.raw / "0005.png").read_bytes()

    def plan(job: Job):
        yield from SOURCE.plan(job)
        (job.raw.root / "0002.png").write_bytes(other)

    first = run(tmp_path / "set", replace(SOURCE, plan=plan), request)
    assert first.sources["films"].counts.converted == 6
    assert first.digest == run(tmp_path / "fresh", SOURCE, request).digest
    receipt = tmp_path / "set/.build/receipts/films"
    before = {path: path.stat().st_mtime_ns for path in receipt.iterdir()}
    assert before and run(tmp_path / "set", SOURCE, request).digest == first.digest
    assert {path: path.stat().st_mtime_ns for path in receipt.iterdir()} == before


def test_planning_leaves_the_collector_as_it_was(films: Films) -> None:
    from qoqdata.pipeline.jobs import make_job
    from qoqdata.readers.limits import DEFAULT_LIMITS

    seen = []

    def plan(job: Job):
        seen.append(gc.isenabled())
        yield from SOURCE.plan(job)

    job = make_job(SOURCE, films(3), limits=DEFAULT_LIMITS)
    assert gc.isenabled()
    make_plan(replace(SOURCE, plan=plan), job)
    assert gc.isenabled() and seen == [False]
    gc.disable()
    try:
        make_plan(SOURCE, job)
        assert not gc.isenabled()
    finally:
        gc.enable()


def same_size(path: Path, request: SourceRequest) -> None:
    """Other bytes of the same number, written later."""
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


def same_time(path: Path, request: SourceRequest) -> None:
    """Another film, under the time of the first."""
    status = path.stat()
    path.write_bytes((request.raw / "0005.png").read_bytes() + b"more")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def swapped(path: Path, request: SourceRequest) -> None:
    """Two films under each other's name, each with the time that it had."""
    other, aside = request.raw / "0005.png", request.raw / "aside"
    path.rename(aside)
    other.rename(path)
    aside.rename(other)


def folder(path: Path, request: SourceRequest) -> None:
    path.unlink()
    path.mkdir()


def link_inside(path: Path, request: SourceRequest) -> None:
    """A link to another film, which has been there all the time."""
    path.unlink()
    path.symlink_to(request.raw / "0005.png")


def link_outside(path: Path, request: SourceRequest) -> None:
    """The film itself, moved out of the raw folder."""
    target = request.raw.parent / "outside.png"
    path.rename(target)
    path.symlink_to(target)


def gone(path: Path, request: SourceRequest) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "change", [same_size, same_time, swapped, folder, link_inside, link_outside, gone]
)
def test_a_resumed_build_is_as_one_of_the_files_as_they_are_now(
    films: Films, tmp_path: Path, change: Callable[[Path, SourceRequest], None]
) -> None:
    request = films(9)
    for number in range(9):
        # No two films of one time: what is told by size and time must not need luck.
        os.utime(request.raw / f"{number:04d}.png", ns=(0, 10**18 + number))
    before = run(tmp_path / "set", SOURCE, request)
    assert run(tmp_path / "set", SOURCE, request) == before
    change(request.raw / "0004.png", request)
    resumed, fresh = (run(tmp_path / name, SOURCE, request) for name in ("set", "fresh"))
    assert resumed.digest == fresh.digest != before.digest
    assert resumed.sources == fresh.sources
    tables = [tmp_path / name / "quarantine/films.parquet" for name in ("set", "fresh")]
    told = [table.read_bytes() if table.exists() else None for table in tables]
    assert told[0] == told[1]
    assert (told[0] is not None) == (change in (same_size, folder, link_outside, gone))
