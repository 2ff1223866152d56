"""Each kind of change is told as that kind, by source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qoqdata.differences import difference
from qoqdata.errors import UsageError
from qoqdata.publication.release import changelog, check_order, next_version
from tests.records.sound_rows import image_row, region
from tests.validation.written_set import write


def row(number: int, **changes: Any) -> dict[str, Any]:
    keys = {"id": f"r{number}", "patient": f"p{number}", "study": f"s{number}"}
    return image_row(**keys | changes)


BEFORE = [row(1), row(2), row(3), row(4), row(5), row(6)]
AFTER = [
    row(1),
    row(2, split="test"),
    row(3, answer="Opacity", labels=["Opacity"]),
    row(4, regions=[region(x_min=1.0)]),
    row(5, split="test", answer="Clear"),
    row(7),
]


@pytest.fixture
def found(tmp_path: Path):
    return difference(write(tmp_path / "a", BEFORE), write(tmp_path / "b", AFTER))


def test_kinds(found) -> None:
    assert dict(found.records.select("id", "kind").iter_rows()) == {
        "r2": "moved",
        "r3": "relabelled",
        "r4": "changed",
        "r5": "moved",
        "r6": "removed",
        "r7": "added",
    }
    moved = found.records.filter(kind="moved").select("before", "after").rows()
    assert moved == [("train", "test"), ("train", "test")]
    assert found.by_source().to_dicts() == [
        {
            "source": "films",
            "added": 1,
            "removed": 1,
            "moved": 2,
            "relabelled": 1,
            "changed": 1,
        }
    ]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"absent": ["Clear"]}, "relabelled"),
        ({"kind": "choice"}, "relabelled"),
        ({"number": {"value": 1.0, "unit": "mm", "tolerance": 0.5}}, "relabelled"),
        ({"item": "left"}, "changed"),
    ],
)
def test_columns_of_schema_2(tmp_path: Path, changes, kind) -> None:
    change = difference(write(tmp_path / "a", [row(1)]), write(tmp_path / "b", [row(1) | changes]))
    assert change.records["kind"].to_list() == [kind]


@pytest.mark.parametrize(
    ("after", "version"),
    [
        (BEFORE, "1.2.4"),
        ([*BEFORE, row(7)], "1.3.0"),
        ([*BEFORE[:5], row(6, answer="Clear")], "1.3.0"),
        (BEFORE[:5], "2.0.0"),
        ([*BEFORE[:5], row(6, split="test")], "2.0.0"),
    ],
)
def test_versions(tmp_path: Path, after, version) -> None:
    change = difference(write(tmp_path / "a", BEFORE), write(tmp_path / "b", after))
    assert next_version("1.2.3", change) == version


def test_versions_only_rise() -> None:
    check_order("1.9.9", "1.10.0")
    with pytest.raises(UsageError, match=r"1\.9\.0 does not come after 1\.10\.0"):
        check_order("1.10.0", "1.9.0")


def test_changelog_grows_on_top(found) -> None:
    first = changelog("1.0.0", None)
    assert first == "# Changelog\n\n## 1.0.0\n\nFirst release.\n"
    second = changelog("2.0.0", found, first)
    assert second == (
        "# Changelog\n\n## 2.0.0\n\n"
        "- 1 records added: films\n"
        "- 1 records removed: films\n"
        "- 2 records moved to another split: films\n"
        "- 1 records with another question, answer or label: films\n"
        "- 1 records otherwise changed: films\n"
        "\n## 1.0.0\n\nFirst release.\n"
    )


def test_what_is_dropped_is_removed_though_the_files_are_the_same(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a", BEFORE), write(tmp_path / "b", BEFORE)
    assert difference(one, other).records.height == 0
    verdicts = pl.DataFrame({"id": ["r2"], "keep": [False], "rule": ["person"]})
    verdicts = verdicts.with_columns(reason=pl.lit("w"), evidence=pl.lit(None, pl.String))
    other.layout.verdicts.parent.mkdir()
    verdicts.write_parquet(other.layout.verdicts)
    assert difference(one, other).records.select("id", "kind").rows() == [("r2", "removed")]
