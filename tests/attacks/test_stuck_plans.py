"""A plan that hangs, exits or dies refuses its source by name, and the others are built."""

from __future__ import annotations

from pathlib import Path

import pytest

from qoqdata.pipeline import progress, unit_limits
from qoqdata.readers.limits import Limits
from tests.attacks.unruly_source import (
    build,
    plan_exiting,
    plan_failing_once,
    plan_hanging,
    plan_interrupting,
    plan_sleeping,
    raw_units,
    shards,
    unruly,
)


def both(tmp_path: Path) -> None:
    for slug in ("bad", "good"):
        raw_units(tmp_path / slug / "raw", a="0", b="0")


@pytest.mark.parametrize(
    ("plan", "limits", "said"),
    [
        (plan_interrupting, Limits(), "converter_error: KeyboardInterrupt"),
        (plan_sleeping, Limits(plan_seconds=1), "over_limit: bad: planning took longer than 1 "),
    ],
)
def test_in_the_callers_process(
    tmp_path: Path, plan, limits: Limits, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit_limits, "SLOW", 0.3)
    both(tmp_path)
    events: list = []
    manifest = build(
        tmp_path, unruly("bad", plan=plan), unruly("good"), limits=limits, events=events
    )
    refused = manifest.sources["bad"].refused
    assert refused is not None and refused.startswith(said)
    assert manifest.sources["good"].counts.records == 2
    told = {one.source for one in events if isinstance(one, progress.InWork)}
    assert told == ({"bad"} if limits.plan_seconds == 1 else set())


@pytest.mark.slow
def test_on_a_worker(tmp_path: Path) -> None:
    for slug in ("exits", "hangs", "good"):
        raw_units(tmp_path / slug / "raw", a="0", b="0")
    sources = (
        unruly("exits", plan=plan_exiting),
        unruly("hangs", plan=plan_hanging),
        unruly("good"),
    )
    manifest = build(tmp_path, *sources, workers=1, limits=Limits(plan_seconds=2))
    said = {slug: entry.refused for slug, entry in manifest.sources.items()}
    assert said["exits"] == (
        "worker_died: exits: planning ended its process (exit code 0)."
        " Fix: mend its plan, which may raise and never exit"
    )
    assert str(said["hangs"]).startswith("over_limit: hangs: planning took longer than 2 seconds")
    assert said["good"] is None and manifest.sources["good"].counts.records == 2
    alone = build(tmp_path, unruly("good"), out="alone")
    assert shards(manifest) == shards(alone)


def test_a_disk_that_fails_once_while_planning(tmp_path: Path) -> None:
    raw_units(tmp_path / "films" / "raw", a="0", b="0")
    manifest = build(tmp_path, unruly(plan=plan_failing_once))
    assert manifest.sources["films"].counts.records == 2
