"""What goes wrong with one source stops no other, and the exit code says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import qoqdata
from qoqdata.contract.card import Card
from qoqdata.errors import FailedSourceWarning, UnfinishedBuild, UsageError
from qoqdata.pipeline import conversion, progress, source_build
from qoqdata.pipeline.conversion import ChunkTask
from qoqdata.sources.protocol import Job, Planned, Source
from qoqdata.validation import find
from tests.pipeline import converters_by_hand
from tests.pipeline.converters_by_hand import build, left_out, source


def planning(job: Job) -> Iterator[Planned]:
    yield from converters_by_hand.plan(job)
    raise RuntimeError("in the middle")


def exiting(job: Job) -> Iterator[Planned]:
    raise SystemExit(1)


def configuring(card: Card, mapping: Mapping[str, Any]) -> tuple[Card, Any]:
    return {}["settings"]  # type: ignore[no-any-return]


def configuring_badly(card: Card, mapping: Mapping[str, Any]) -> tuple[Card, Any]:
    # What the fingerprint cannot tell, it finds while the chunks are looked at.
    return card, {1, 2}


FAULTS: dict[str, tuple[Callable[[], Source], str]] = {
    "planning": (lambda: source(planning, slug="bad"), "RuntimeError: in the middle"),
    "exiting": (lambda: source(exiting, slug="bad"), "SystemExit: 1"),
    "configuring": (
        lambda: source(configure=configuring, slug="bad"),
        "KeyError: 'settings' (test_source_at_fault.py, line",
    ),
    "configuring badly": (
        lambda: source(configure=configuring_badly, slug="bad"),
        "AttributeError",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_source_at_fault_stops_no_other(tmp_path: Path, fault: str) -> None:
    make, said = FAULTS[fault]
    events: list = []
    manifest = build(tmp_path, make(), source(), events=events)
    assert manifest.sources["films"].counts.records == 3
    bad = manifest.sources["bad"]
    assert bad.refused is not None and bad.refused.startswith("converter_error: ")
    assert said in bad.refused
    assert (bad.counts.units, bad.counts.quarantined, bad.counts.records) == (1, 1, 0)
    refused = [event for event in events if isinstance(event, progress.SourceRefused)]
    assert [event.source for event in refused] == ["bad"]
    assert failed(tmp_path / "set") == ["manifest.json, bad"]


def failed(root: Path) -> list[str]:
    """Where a set is at fault, which is for one reason: a source that failed as a whole."""
    with pytest.warns(FailedSourceWarning, match="failed as a whole"):
        findings = list(find(qoqdata.open(root)))
    assert {finding.rule for finding in findings} == {"every source gave records"}
    return [finding.where for finding in findings]


def test_what_the_user_got_wrong_is_told_before_anything_is_built(tmp_path: Path) -> None:
    def configure(card: Card, mapping: Mapping[str, Any]) -> tuple[Card, Any]:
        raise UsageError("the mapping lacks a table")

    with pytest.raises(UsageError, match="lacks a table"):
        build(tmp_path, source(), source(configure=configure, slug="bad"))
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_chunk_that_fails_as_a_whole_is_accounted_for_and_tried_again(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fingerprint that cannot be taken stands for whatever nobody thought of."""
    whole = ChunkTask.fingerprint

    def fingerprint(task: ChunkTask, stamped: Any = None) -> str:
        if stamped is not None and task.job.card.slug == "bad":
            raise ValueError("an oversight")
        return whole(task, stamped)

    with monkeypatch.context() as patch:
        if workers:
            # A worker does not see the patch; a task that cannot be sent fails here.
            patch.setattr(ChunkTask, "__reduce__", unsendable)
        else:
            patch.setattr(ChunkTask, "fingerprint", fingerprint)
        manifest = build(tmp_path, source(slug="bad"), source(), workers=workers)
    bad, good = (manifest.sources[name].counts for name in ("bad", "films"))
    assert (good.records, good.quarantined) == (3, 0)
    assert (bad.units, bad.converted, bad.quarantined, bad.records) == (3, 0, 3, 0)
    assert {row["reason"] for row in left_out(tmp_path, "bad").values()} == {"converter_error"}
    assert failed(tmp_path / "set") == ["manifest.json, bad"]
    again = build(tmp_path, source(slug="bad"), source())
    assert again.sources["bad"].counts.records == 3


def unsendable(task: ChunkTask) -> Any:
    if task.job.card.slug == "bad":
        raise ValueError("an oversight")
    return ChunkTask, tuple(getattr(task, field.name) for field in fields(task))


def test_a_full_disk_stops_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **settings: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion, "write_shard", full)
    with pytest.raises(UnfinishedBuild, match="No space left"):
        build(tmp_path, source())


def test_a_source_that_cannot_be_closed_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = source_build.write_source_metadata

    def write_metadata(root: Path, slug: str, parts: Any) -> Any:
        if slug == "bad":
            raise FileNotFoundError(2, "No such file or directory", "data/bad")
        return whole(root, slug, parts)

    monkeypatch.setattr(source_build, "write_source_metadata", write_metadata)
    manifest = build(tmp_path, source(slug="bad"), source())
    assert manifest.sources["films"].counts.records == 3
    bad = manifest.sources["bad"]
    assert bad.refused is not None and "FileNotFoundError" in bad.refused
    assert (bad.counts.units, bad.counts.records) == (1, 0)
    assert {shard.source for shard in manifest.shards} == {"films"}
    # Its shards wait for the next build, as those of any refused source.
    with pytest.warns(FailedSourceWarning, match="bad failed as a whole"):
        stray, failed = find(qoqdata.open(tmp_path / "set"))
    assert stray.where == "data/bad/train-00000.parquet"
    assert (failed.where, failed.rule) == ("manifest.json, bad", "every source gave records")
    monkeypatch.undo()
    events: list = []
    again = build(tmp_path, source(slug="bad"), source(), events=events)
    assert again.sources["bad"].counts.records == 3
    assert all(event.reused for event in events if isinstance(event, progress.Finished))


def test_a_listener_is_no_part_of_a_source(tmp_path: Path) -> None:
    """What the caller's own function raises goes to the caller."""

    class Stop(Exception):
        pass

    class Listening(list):
        def append(self, event: object) -> None:
            raise Stop

    with pytest.raises(Stop):
        build(tmp_path, source(), events=Listening())


@pytest.mark.parametrize(("plan", "code"), [(planning, 3), (None, 0)])
def test_the_exit_code_says_so(
    tmp_path: Path, plan: Any, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from qoqdata.cli.main import app

    made = source(plan or converters_by_hand.plan)
    monkeypatch.setattr("qoqdata.sources.catalogue.find_source", lambda slug: made)
    monkeypatch.setenv("QOQDATA_SALT_FILE", str(tmp_path / "salt"))
    (tmp_path / "salt").write_text("cd" * 32)
    raw = converters_by_hand.raw_texts(tmp_path / "raw")
    arguments = ["build", "films", "--raw", str(raw), "--out", str(tmp_path / "set")]
    result = CliRunner().invoke(app, [*arguments, "--workers", "0"])
    assert result.exit_code == code
    assert ("refused" in result.output) == bool(code)
