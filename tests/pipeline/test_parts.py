"""A build in parts: in any order, repeated, overlapping, broken off, the set of one build."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

import qoqdata
from qoqdata.errors import UnfinishedBuild, UsageError
from qoqdata.layout import Layout
from qoqdata.pipeline import conversion, parts, progress, stored_plan
from qoqdata.pipeline.build import build, build_requests
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.parts import Part, PartCounts, build_part, finish, parse_part
from qoqdata.pipeline.place import FolderPlace
from qoqdata.records.identity import Salt
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Job, Unit
from tests.pipeline import toys
from tests.pipeline.conftest import SALT
from tests.pipeline.toys import raw_tree, toy

Films = Callable[..., SourceRequest]
HERE = BuildSetting(SALT, workers=0)


def config(*requests: SourceRequest) -> BuildConfig:
    return BuildConfig(name="films", sources=requests, shard_units=2)


def plan(asked: BuildConfig, out: Path, setting: BuildSetting = HERE) -> list[parts.PlanCounts]:
    pairs = [(catalogue.find_source(one.source), one) for one in asked.sources]
    return parts.plan(pairs, out, setting, asked)


def part(out: Path, number: int, of: int, setting: BuildSetting = HERE) -> PartCounts:
    return build_part(out, Part(number, of), setting)


def files(out: Path) -> dict[str, bytes]:
    """All files of the data set itself, and what a publication needs of the build."""
    paths = [path for path in out.rglob("*") if path.is_file()]
    kept = ("raw_keys", "receipts")
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in paths
        if ".build" not in path.parts or any(name in path.parts for name in kept)
    }


def rewrite(path: Path, content: bytes) -> None:
    """Other content of another time, whatever the clock's steps."""
    path.write_bytes(content)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


@pytest.mark.parametrize("seed", range(2))
def test_parts_in_any_order_give_the_set_of_one_build(
    films: Films, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    asked = config(films(9), films(7, "others", "others-raw"))
    whole, shared = tmp_path / "whole" / "set", tmp_path / "shared" / "set"
    build(asked, whole, HERE)
    counts = plan(asked, shared)
    assert [(one.source, one.units, one.refusal) for one in counts] == [
        ("films", 9, None),
        ("others", 7, None),
    ]
    runs = [(number, of) for of in (1, 2, 5) for number in range(1, of + 1)]
    chance.shuffle(runs)
    for number, of in [*runs[:3], *runs[:1], *runs[3:]]:
        broken = chance.randrange(3)

        def listen(event: progress.Event, left: list[int] = [broken]) -> None:  # noqa: B006
            if isinstance(event, progress.Finished):
                left[0] -= 1
                if left[0] < 0:
                    raise KeyboardInterrupt

        try:
            part(shared, number, of, replace(HERE, listen=listen))
        except KeyboardInterrupt:
            part(shared, number, of)
    manifest = finish(shared, HERE)
    assert files(shared) == files(whole)
    assert finish(shared, HERE) == manifest
    assert files(shared) == files(whole)
    # Any build goes on from what parts have left.
    events: list[progress.Event] = []
    build(asked, shared, replace(HERE, listen=events.append))
    assert all(one.reused for one in events if isinstance(one, progress.Finished))
    assert files(shared) == files(whole)


def test_each_chunk_is_of_one_part(films: Films, tmp_path: Path) -> None:
    (counts,) = plan(config(films(12)), tmp_path / "set")
    assert counts.chunks > 4
    done = [part(tmp_path / "set", number, 4) for number in range(1, 5)]
    assert sum(one.chunks for one in done) == counts.chunks
    assert max(one.chunks for one in done) - min(one.chunks for one in done) <= 1
    assert sum(one.records for one in done) == 12
    assert part(tmp_path / "set", 2, 4) == replace(done[1], reused=done[1].chunks)


def test_a_part_of_nothing(films: Films, tmp_path: Path) -> None:
    plan(config(films(2)), tmp_path / "set")
    assert part(tmp_path / "set", 50, 50) == PartCounts("50/50", 0, 0, 0, 0)


def test_finish_names_the_parts_that_are_missing(films: Films, tmp_path: Path) -> None:
    out = tmp_path / "set"
    plan(config(films(12)), out)
    with pytest.raises(UnfinishedBuild, match=rf"build --part 1/1 --out {out}"):
        finish(out, HERE)
    part(out, 1, 3)
    part(out, 3, 3)
    with pytest.raises(UnfinishedBuild) as told:
        finish(out, HERE)
    chunks = len(list(read(out).in_turn()))
    missing = len(range(1, chunks, 3))
    assert f"{missing} of {chunks} chunks are missing: of part 2/3 ({missing})" in str(told.value)
    assert f"`qoqdata build --part 2/3 --out {out}`, then finish again" in str(told.value)
    assert not Layout(out).manifest.exists()
    part(out, 2, 3)
    assert finish(out, HERE).sources["films"].counts.records == 12


def read(out: Path) -> stored_plan.StoredPlan:
    return stored_plan.read_plan(FolderPlace(Layout(out)), SALT)


def test_a_shard_that_was_lost_is_missing(films: Films, tmp_path: Path) -> None:
    out = tmp_path / "set"
    plan(config(films(6)), out)
    part(out, 1, 1)
    shard = next(iter(sorted((out / "data" / "films").iterdir())))
    shard.write_bytes(shard.read_bytes()[:-9])
    with pytest.raises(UnfinishedBuild, match="1 of "):
        finish(out, HERE)
    part(out, 1, 1)
    finish(out, HERE)


def test_raw_files_that_change_after_the_plan_are_named(films: Films, tmp_path: Path) -> None:
    request = films(10)
    asked, out = config(request), tmp_path / "set"
    plan(asked, out)
    rewrite(request.raw / "0004.png", (request.raw / "0005.png").read_bytes())
    (request.raw / "0007.png").unlink()
    with pytest.raises(UnfinishedBuild, match="not as they were planned") as told:
        part(out, 1, 1)
    assert "films: 0004.png" in str(told.value)
    assert "qoqdata plan" in str(told.value)
    # The chunks of all other units are there.
    before = read(out)
    chunks = [before.chunk(*one) for one in before.in_turn()]
    lost = [c for c in chunks if {"0004.png", "0007.png"} & set(c.table["key"])]
    assert len(list((out / ".build/receipts/films").iterdir())) == len(chunks) - len(lost)
    # The table still names the film that is gone, so a new plan has it in quarantine.
    plan(asked, out)
    done = part(out, 1, 1)
    assert done.reused > 0
    finish(out, HERE)
    build(asked, tmp_path / "whole" / "set", HERE)
    assert files(out) == files(tmp_path / "whole" / "set")


def test_a_film_that_changes_while_it_is_read_is_missing(
    films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, out = films(4), tmp_path / "set"
    plan(config(request), out)
    whole = conversion.convert_unit

    def convert(unit: Any, task: Any) -> Any:
        outcome = whole(unit, task)
        if unit.key == "0002.png":
            rewrite(request.raw / "0002.png", (request.raw / "0003.png").read_bytes())
        return outcome

    monkeypatch.setattr(conversion, "convert_unit", convert)
    assert part(out, 1, 1).quarantined == 1
    with pytest.raises(UnfinishedBuild, match="1 of "):
        finish(out, HERE)


@pytest.mark.parametrize("change", ["edited", "gone"])
def test_a_table_that_changes_after_the_plan_is_named(
    films: Films, tmp_path: Path, change: str
) -> None:
    request, out = films(4), tmp_path / "set"
    plan(config(request), out)
    table = request.raw / "labels.csv"
    if change == "gone":
        table.unlink()
    else:
        rewrite(table, table.read_bytes().replace(b"0001.png,b", b"0001.png,a"))
    with pytest.raises(UnfinishedBuild, match=r"not as they were planned: films: labels\.csv"):
        part(out, 1, 1)
    assert not (out / "data").exists()


def those_that_are_there(job: Job) -> Iterator[Unit]:
    for unit in toys.plan(job):
        assert isinstance(unit, Unit)
        if job.raw.exists(unit.files[0]):
            yield unit


def test_a_film_that_comes_after_the_plan_is_noticed(films: Films, tmp_path: Path) -> None:
    """Its row was refused; what was looked for and not there is part of the plan."""
    studies = [("a", "p1", "train"), ("b", "p2", "train")]
    raw, out = raw_tree(tmp_path / "raw", studies), tmp_path / "set"
    (raw / "b.txt").unlink()
    asking = replace(toy("toys"), plan=those_that_are_there)
    request = SourceRequest(source="toys", raw=raw)
    asked = BuildConfig(sources=(request,))
    parts.plan([(asking, request)], out, HERE, asked)
    build_part(out, Part(1, 1), HERE, lambda slug: asking)
    (raw / "b.txt").write_text("The study b.")
    with pytest.raises(UnfinishedBuild, match=r"toys: b\.txt"):
        build_part(out, Part(1, 1), HERE, lambda slug: asking)


def test_a_raw_folder_that_is_gone(films: Films, tmp_path: Path) -> None:
    request, out = films(4), tmp_path / "set"
    plan(config(request), out)
    request.raw.rename(tmp_path / "elsewhere")
    for call in (lambda: part(out, 1, 1), lambda: finish(out, HERE)):
        with pytest.raises(UsageError, match="the raw folder is not there"):
            call()
    (tmp_path / "elsewhere").rename(request.raw)
    part(out, 1, 1)
    finish(out, HERE)


def test_without_a_plan(films: Films, tmp_path: Path) -> None:
    for out in (tmp_path / "nothing", tmp_path):
        for call in (lambda: part(out, 1, 1), lambda: finish(out, HERE)):  # noqa: B023
            with pytest.raises(UsageError, match="holds no plan"):
                call()
    assert not (tmp_path / "nothing").exists()


def test_another_salt_version_or_converter_is_refused(
    films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "set"
    plan(config(films(4)), out)
    other = BuildSetting(Salt(b"another salt of thirty-two bytes"), workers=0)
    changed = replace(catalogue.find_source("image_table"), code_digest="1" * 64)
    for call in (
        lambda: part(out, 1, 1, other),
        lambda: finish(out, other),
    ):
        with pytest.raises(UsageError, match="another salt"):
            call()
    with pytest.raises(UsageError, match="films was planned with another converter"):
        build_part(out, Part(1, 1), HERE, lambda slug: changed)
    monkeypatch.setattr(stored_plan, "VERSION", "99.0")
    with pytest.raises(UsageError, match=r"this is 99\.0"):
        part(out, 1, 1)
    assert not (out / "data").exists()


@pytest.mark.parametrize("name", ["films.parquet", "films.json", "films.bin", "plan.json"])
def test_a_plan_that_was_damaged_is_refused(films: Films, tmp_path: Path, name: str) -> None:
    out = tmp_path / "set"
    plan(config(films(4)), out)
    path = Layout(out).plan.with_name(name)
    path.write_bytes(path.read_bytes()[:-5] + b"xxxxx")
    with pytest.raises(UnfinishedBuild, match=rf"{name}: is not what `qoqdata plan` wrote"):
        part(out, 1, 1)
    path.unlink()
    with pytest.raises((UnfinishedBuild, UsageError)):
        part(out, 1, 1)


def test_a_part_ends_where_another_plan_begins(films: Films, tmp_path: Path) -> None:
    request, out = films(8), tmp_path / "set"
    plan(config(request), out)

    def listen(event: progress.Event) -> None:
        if isinstance(event, progress.Finished):
            shutil.copytree(out / "data", tmp_path / "before", dirs_exist_ok=True)
            plan(config(request).model_copy(update={"limit": 3}), out)

    with pytest.raises(UnfinishedBuild, match="another plan or build has begun"):
        part(out, 1, 1, replace(HERE, listen=listen))
    # A build in one go does away with the plan.
    build(config(request), out, HERE)
    with pytest.raises(UsageError, match="holds no plan"):
        part(out, 1, 1)


def test_two_at_once(films: Films, tmp_path: Path) -> None:
    out = tmp_path / "set"
    asked = config(films(4))
    plan(asked, out)
    part(out, 1, 1)
    with FileLock(Layout(out).lock):
        for call in (lambda: finish(out, HERE), lambda: plan(asked, out)):
            with pytest.raises(UsageError, match="another build is writing"):
                call()
        # A part, which writes what is there or what is missing, may go on.
        assert part(out, 1, 1).reused > 0
    finish(out, HERE)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_is_full_or_closed(
    films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    out = tmp_path / "set"
    plan(config(films(6)), out)
    whole = conversion.write_shard
    calls: list[Path] = []

    def write_shard(path: Path, *arguments: Any, **options: Any) -> Any:
        calls.append(path)
        if len(calls) > 1:
            raise OSError(number, os.strerror(number), str(path))
        return whole(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(conversion, "write_shard", write_shard)
        with pytest.raises(UnfinishedBuild, match=os.strerror(number)) as told:
            part(out, 1, 1)
        assert "\n" not in str(told.value)
    assert part(out, 1, 1).reused == 1
    finish(out, HERE)


def test_a_source_that_cannot_be_planned_is_refused_as_in_one_build(
    films: Films, tmp_path: Path
) -> None:
    good, bad = films(4), films(3, "bad", "bad-raw")
    (bad.raw / "labels.csv").write_text("file,kind\n")
    asked = config(good, bad)
    counts = plan(asked, tmp_path / "set")
    assert counts[1].chunks == 0
    assert "lacks the column" in str(counts[1].refusal)
    part(tmp_path / "set", 1, 1)
    manifest = finish(tmp_path / "set", HERE)
    assert manifest.outcome == "failed"
    assert manifest == build(asked, tmp_path / "whole" / "set", HERE)
    assert files(tmp_path / "set") == files(tmp_path / "whole" / "set")


def test_a_plan_beside_other_sources_keeps_them(films: Films, tmp_path: Path) -> None:
    first, second = films(4), films(5, "others", "others-raw")
    out = tmp_path / "set"
    build(config(first), out, HERE)
    plan(config(second), out)
    part(out, 1, 1)
    assert set(finish(out, HERE).sources) == {"films", "others"}


def test_a_list_of_patients_is_in_the_plan(tmp_path: Path) -> None:
    """The splits of a namespace are settled once, and named in the manifest."""
    table = {"file": "splits.csv", "key": "who", "split": "part", "values": {"t": "test"}}
    splits = {"rule": "official", "patients": table}
    keys = {"study": "key", "patient": "patient", "group": "patient", "namespace": "hospital"}
    source = toy("toys", keys=keys, splits=splits)
    raw = raw_tree(tmp_path / "raw", [("a", "p1", ""), ("b", "p2", "")], splits="who,part\np1,t\n")
    request = SourceRequest(source="toys", raw=raw)
    asked = BuildConfig(name="toys", sources=(request,))
    out = tmp_path / "set"
    parts.plan([(source, request)], out, HERE, asked)
    build_part(out, Part(1, 1), HERE, lambda slug: source)
    manifest = finish(out, HERE, lambda slug: source)
    assert manifest.sources["toys"].patient_splits is not None
    assert manifest == build_requests([(source, request)], tmp_path / "whole", HERE, asked)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/3/5", "", "²/3"])
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(UsageError, match="is no part"):
        parse_part(text)
    assert parse_part(" 3/16 ") == Part(3, 16)


def test_a_part_takes_no_settings_of_the_plan(films: Films, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the plan says what a part builds"):
        qoqdata.build("ham10000", out=tmp_path, raw=tmp_path, part="1/2")
    with pytest.raises(UsageError, match="the plan says what a part builds"):
        qoqdata.build(out=tmp_path, part="1/2", storage="native")


def test_a_plan_keeps_folders_and_urls_apart(films: Films, tmp_path: Path) -> None:
    """In plan.json both are texts."""
    asked = config(films(1), SourceRequest(source="ham10000", raw="s3://bucket/raw"))
    frozen = stored_plan.frozen_config(asked)
    again = BuildConfig.model_validate_json(frozen.model_dump_json())
    assert [one.raw for one in again.sources] == [tmp_path / "films-raw", "s3://bucket/raw"]
    assert again == frozen
