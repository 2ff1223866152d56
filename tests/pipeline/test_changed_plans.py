"""What is no longer as it was planned is named, and built once it is planned again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qoqdata.errors import UnfinishedBuild, UsageError
from qoqdata.layout import Layout
from qoqdata.pipeline import conversion, parts, progress, stored_plan
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.parts import Part, build_part, finish
from qoqdata.records.identity import Salt
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Job, Unit
from tests.pipeline import toys
from tests.pipeline.built_in_parts import HERE, Films, config, files, part, plan, read, rewrite
from tests.pipeline.toys import raw_tree, toy


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
