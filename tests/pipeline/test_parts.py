"""A build in parts: in any order, repeated, overlapping, broken off, the set of one build."""

from __future__ import annotations

import errno
import os
import random
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
from qoqdata.pipeline.config import BuildConfig, SourceRequest
from qoqdata.pipeline.parts import Part, PartCounts, build_part, finish, parse_part
from tests.pipeline.built_in_parts import HERE, Films, config, files, part, plan, read
from tests.pipeline.toys import raw_tree, toy


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


def test_without_a_plan(films: Films, tmp_path: Path) -> None:
    for out in (tmp_path / "nothing", tmp_path):
        for call in (lambda: part(out, 1, 1), lambda: finish(out, HERE)):  # noqa: B023
            with pytest.raises(UsageError, match="holds no plan"):
                call()
    assert not (tmp_path / "nothing").exists()


def test_two_at_once(films: Films, tmp_path: Path) -> None:
    out = tmp_path / "set"
    asked = config(films(4))
    plan(asked, out)
    part(out, 1, 1)
    with FileLock(Layout(out).lock):
        for call in (lambda: finish(out, HERE), lambda: plan(asked, out)):
            with pytest.raises(UsageError, match="another command is writing"):
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
