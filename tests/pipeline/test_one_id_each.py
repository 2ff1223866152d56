"""Two units that would give one record: the build says which, before anything is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import qoqdata
from qoqdata import validation
from qoqdata.pipeline import parts
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.records.content import Record
from qoqdata.records.identity import record_id
from qoqdata.sources.asking import ask
from qoqdata.sources.protocol import Job, Unit
from tests.pipeline.conftest import SALT
from tests.pipeline.converters_by_hand import build, raw_texts, source

HERE = BuildSetting(SALT, workers=0)
#: Of `films`, with the public salt: as everybody has it.
SHARED = record_id("films", "7/a", "diagnosis", salt=None)
RULE = "(rule: one record a study, task and item)"


def nested(job: Job) -> Iterator[Unit]:
    """The study 7 with a film of its own, one below it, and many beside them."""
    yield Unit("7", ("a.txt",), split="train")
    yield Unit("7/a", ("b.txt",), split="train")
    for number in range(40):
        yield Unit(f"8/{number}", ("c.txt",), split="train")


def asked(job: Job, **changes: Any) -> Record:
    return replace(Record(**ask(job.card, "diagnosis", ["Clear"]), context="A text."), **changes)


def below(unit: Unit, job: Job) -> list[Record]:
    """Of 7 also the question that 7/a asks."""
    own = [asked(job)]
    return [*own, asked(job, study="7/a")] if unit.key == "7" else own


def refused(tmp_path: Path, convert: Any, **changes: Any) -> str:
    plan, units = changes.pop("plan", nested), changes.pop("shard_units", 2)
    entry = build(tmp_path, source(plan, convert, **changes), shard_units=units).sources["films"]
    assert entry.refused is not None and entry.counts.records == 0
    assert qoqdata.open(tmp_path / "set").manifest.shards == ()
    return entry.refused


def test_a_record_of_two_units_is_told_with_both(tmp_path: Path) -> None:
    assert refused(tmp_path, below) == (
        f"bad_record: record {SHARED}, column id: occurs in the units '7', '7/a' (task"
        f" 'diagnosis') {RULE}. Fix: have the converter leave a study to the unit of that key,"
        " or tell the records by item"
    )


def test_of_private_paths(tmp_path: Path) -> None:
    assert "occurs in the units '7', '7/a' (task" in refused(tmp_path, below, raw_paths="keyed")


def test_a_study_below_both(tmp_path: Path) -> None:
    """The study itself is no unit; that of 8/1, of the same file as others, meets nobody's."""

    def convert(unit: Unit, job: Job) -> list[Record]:
        if not unit.key.startswith("7"):
            return [asked(job, study=f"{unit.key}/b")]
        return [asked(job, study="7/a/b", item=item) for item in ("left", "right")]

    why = refused(tmp_path, convert)
    assert "occurs in the units '7', '7/a' (task 'diagnosis', item 'left'), as do 1 more" in why


def test_of_several_units_above(tmp_path: Path) -> None:
    """All that it can be of, where the files are the same: none is guessed."""

    def plan(job: Job) -> Iterator[Unit]:
        for key in ("7", "7/a", "7/a/b", "7/b"):
            yield Unit(key, ("a.txt",), split="train")

    def convert(unit: Unit, job: Job) -> list[Record]:
        own = [asked(job)]
        return [*own, asked(job, study="7/a/b")] if unit.key == "7" else own

    why = refused(tmp_path, convert, plan=plan, shard_units=64)
    assert "occurs in 2 of the units '7', '7/a', '7/a/b' (task" in why


def test_other_questions_of_one_study_are_kept(tmp_path: Path) -> None:
    """Another task, or another item, of a study that is a unit's too."""

    def convert(unit: Unit, job: Job) -> list[Record]:
        if unit.key != "7":
            return [asked(job)]
        view = Record(**ask(job.card, "view", ["Frontal"]), context="A text.", study="7/a")
        return [asked(job), view, asked(job, study="7/a", item="left")]

    entry = build(tmp_path, source(nested, convert), shard_units=2).sources["films"]
    assert entry.refused is None and entry.counts.records == 44
    dataset = qoqdata.open(tmp_path / "set")
    assert not list(validation.find(dataset))


def test_the_fields_of_an_id_are_told_apart() -> None:
    """So that no other study, task and item has it."""
    ids = {
        record_id("films", *rest, salt=None)
        for rest in (
            ("7", "a", "b"),
            ("7", "ab"),
            ("7a", "b"),
            ("7", "a/b"),
            ("7/a", "b"),
            ("7", "a", ""),
            ("7", "a"),
            ("7\0a", "b"),
        )
    }
    assert len(ids) == 8


def test_a_source_is_built_again_once_it_is_mended(tmp_path: Path) -> None:
    refused(tmp_path, below)
    mended = replace(source(nested, lambda unit, job: [asked(job)]), code_digest="1" * 64)
    entry = build(tmp_path, mended, shard_units=2).sources["films"]
    assert entry.refused is None and entry.counts.records == 42


def test_what_older_code_built_is_looked_at_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shards and metadata are there, and are as they were."""
    with monkeypatch.context() as patch:
        patch.setattr("qoqdata.pipeline.source_build.require_one_id_each", lambda *_: None)
        assert (
            build(tmp_path, source(nested, below), shard_units=2).sources["films"].failure is None
        )
    assert "'7', '7/a'" in refused(tmp_path, below)


def test_across_parts(tmp_path: Path) -> None:
    """The two shards are of different parts, and it is `finish` that sees both."""
    raw, out = raw_texts(tmp_path / "raw"), tmp_path / "set"
    films = source(nested, below)
    request = SourceRequest(source="films", raw=raw)
    config = BuildConfig(sources=(request,), shard_units=2)
    parts.plan([(films, request)], out, HERE, config)
    find = {"films": films}.__getitem__
    for number in range(1, 9):
        parts.build_part(out, parts.Part(number, 8), HERE, find)
    why = parts.finish(out, HERE, find).sources["films"].refused
    assert why is not None and "occurs in the units '7', '7/a' (task 'diagnosis')" in why
    whole = tmp_path / "whole"
    assert build_requests([(films, request)], whole, HERE, config).sources["films"].refused == why
