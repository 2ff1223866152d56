"""Units that nothing ties to others: the build says that their splits cannot be kept apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from qoqdata.contract.card import Card
from qoqdata.pipeline import progress
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.splits import Listed, loose
from qoqdata.sources.unit_table import unit_table
from tests.pipeline.conftest import SALT
from tests.pipeline.test_splits import card, unit
from tests.pipeline.toys import messages, raw_tree, run, toy

Films = Callable[..., SourceRequest]


def test_a_table_without_patient_column_is_told(films: Films, tmp_path: Path) -> None:
    request = films(6)
    assert isinstance(request.mapping, dict)
    table = {key: column for key, column in request.mapping["table"].items() if key != "patient"}
    bare = request.model_copy(update={"mapping": request.mapping | {"table": table}})
    for asked, expected in ((request, 0), (bare, 6)):
        events: list[progress.Event] = []
        out = tmp_path / f"set{expected}"
        setting = BuildSetting(SALT, workers=0, listen=events.append)
        manifest = build(BuildConfig(sources=(asked,)), out, setting)
        assert manifest.sources["films"].ungrouped == expected
        assert len(messages(events)) == bool(expected)
    assert messages(events)[0].startswith("6 of 6 units name no patient, study or group")


def test_of_any_source_those_without_patient_are_counted(tmp_path: Path) -> None:
    studies = [("a", "p1", ""), ("b", "", ""), ("c", "", ""), ("d", "", "test")]
    events: list[progress.Event] = []
    raw = raw_tree(tmp_path / "raw", studies)
    manifest = run(tmp_path / "set", (toy("toys"), raw), events=events)
    # That of an official split is where its publisher wants it.
    assert manifest.sources["toys"].ungrouped == 2
    (message,) = messages(events)
    assert message.startswith("2 of 4 units name no patient")
    assert "mapping" not in message


def test_a_single_unit_and_a_single_split_tear_nothing() -> None:
    several = unit_table([unit("a"), unit("b", group="p"), unit("c")])

    def keys(table: pl.DataFrame, card: Card, listed: Listed | None = None) -> list[str]:
        return table["key"].filter(loose(table, card, listed)).to_list()

    assert keys(several, card()) == ["a", "c"]
    assert keys(several.head(1), card()) == []
    assert keys(several, card(shares={"train": 1.0})) == []
    assert keys(several, card(), lambda who: frozenset({"test"} if who == "a" else ())) == ["c"]
