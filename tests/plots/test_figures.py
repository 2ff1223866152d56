"""Figures draw the numbers that they are given, end where these end, and repeat their bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qoqdata.plots import style
from qoqdata.plots.style import ROWS, drawing, write_figures

pytest.importorskip("matplotlib")
from qoqdata.plots.counts import records_figure, splits_figure
from qoqdata.plots.labels import balance_figure
from qoqdata.plots.people import ages_figure
from qoqdata.plots.rates import rarity_figure, rarity_rows_figure

COUNTS = pl.DataFrame(
    {
        "source": ["little", "large_$x^2$"],
        "train": [3, 60],
        "validation": [1, 0],
        "test": [0, 20],
    }
)
GROUPS = pl.DataFrame(
    {
        "key": ["ct", "ecg", "mri", "new"],
        "rarity": [2.0, 0.5, 0.5, 1.0],
        "success_rate": [1.0, 0.25, 0.25, None],
    }
)


@pytest.fixture(autouse=True)
def look() -> Iterator[None]:
    with drawing():
        yield


def bars(axes: Any) -> list[tuple[float, float, float]]:
    """Row, left end and width of each bar, rounded."""
    found = [(bar.get_y() + bar.get_height() / 2, bar.get_bbox()) for bar in axes.patches]
    return [(round(row, 6), round(box.xmin, 6), round(abs(box.width), 6)) for row, box in found]


def names(axes: Any) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_records_stand_beside_each_other_the_most_on_top() -> None:
    (axes,) = records_figure(COUNTS, "source").axes
    assert names(axes) == ["large $x^2$", "little"]
    # Of train, then of validation, then of test; each from where the one before ended.
    assert bars(axes) == [(0, 0, 60), (1, 0, 3), (1, 3, 1), (0, 60, 20)]
    assert axes.get_xlim() == (0, 80) and axes.get_ylim() == (1.5, -0.5)


def test_splits_are_shares() -> None:
    axes = splits_figure(COUNTS, "source").axes[0]
    assert bars(axes) == [
        *((0, 0, 0.75), (1, 0, 0.75)),
        *((1, 0.75, 0.25), (0, 0.75, 0.25)),
    ]
    assert axes.get_xlim() == (0, 1)


def test_more_rows_than_fit_are_told() -> None:
    many = pl.DataFrame(
        {"source": [f"s{n:03}" for n in range(ROWS + 5)]}
        | {split: [n + 1 for n in range(ROWS + 5)] for split in ("train", "validation", "test")}
    )
    figure = records_figure(many, "source")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "5 smaller ones are not shown"
    assert len(names(axes)) == ROWS and "s000" not in names(axes)
    assert figure.get_size_inches()[1] <= style.TALLEST


def test_rarity_over_difficulty() -> None:
    (axes,) = rarity_figure(GROUPS).axes
    # What has no success rate has no place; points of one place share their name.
    assert sorted(map(tuple, axes.collections[0].get_offsets().tolist())) == [
        (0.0, 2.0),
        (0.75, 0.5),
        (0.75, 0.5),
    ]
    assert sorted(text.get_text() for text in axes.texts) == ["ct", "ecg, mri"]
    assert axes.get_xlim() == (0, 1) and axes.get_ylim()[0] == 0
    left, right = rarity_rows_figure(GROUPS).axes
    assert names(left) == ["ct", "ecg", "mri"]
    assert bars(left) == [(0, 0, 2), (1, 0, 0.5), (2, 0, 0.5)]
    assert bars(right) == [(1, 0, 0.75), (2, 0, 0.75)]
    assert right.get_xlim() == (0, 1)


def test_names_of_points_cover_no_other() -> None:
    near = pl.DataFrame(
        {"key": [f"domain {n}" for n in range(5)], "rarity": [1.0, 1.01, 1.02, 1.03, 1.04]}
        | {"success_rate": [0.5, 0.49, 0.5, 0.49, 0.5]}
    )
    (axes,) = rarity_figure(near).axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not [1 for n, box in enumerate(boxes) for other in boxes[:n] if box.overlaps(other)]


def test_balance_has_the_commonest_first_and_the_others_as_one() -> None:
    states = pl.DataFrame(
        {
            "source": ["films"] * 9,
            "task": ["diagnosis"] * 8 + ["empty"],
            "questions": [10] * 9,
            "asserted": [4, 8, 2, 2, 1, 1, 1, 1, 0],
        }
    )
    (axes,) = balance_figure(states).axes
    assert names(axes) == ["films: diagnosis"]
    widths = [width for _, _, width in bars(axes)]
    assert widths == [0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.1]


def test_ages_lie_on_two_sides() -> None:
    by_age = pl.DataFrame(
        {"ages": ["0-9", "10-19", "unstated"], "female": [1, 3, 5], "male": [0, 2, 1]}
        | {"other": [1, 0, 0], "unstated": [0, 0, 0], "conflicting": [0, 0, 0]}
    )
    (axes,) = ages_figure(by_age).axes
    assert names(axes) == ["10-19", "0-9"]
    assert bars(axes) == [(0, -3, 3), (1, -1, 1), (0, 0, 2)]
    assert axes.get_xlim() == (-3, 3)
    assert axes.get_title(loc="left") == "7 of 13 studies state no age, or neither sex"


def test_same_numbers_same_bytes(tmp_path: Path) -> None:
    draw = {"records": lambda: records_figure(COUNTS, "source")}
    first, second = (write_figures(draw, tmp_path / name) for name in ("one", "two"))
    assert [path.name for path in first] == ["records.svg", "records.pdf"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    for path in first:
        assert not re.search(rb"CreationDate|dc:date|matplotlib.org", path.read_bytes())
    # Names are text in the figure, as they are spelled.
    assert "large $x^2$" in first[0].read_text()
