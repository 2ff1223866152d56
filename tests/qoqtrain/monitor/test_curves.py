"""Panels by hand, and what is drawn of them inside the axes."""

from __future__ import annotations

import re

import pytest

from qoqtrain.monitor.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, drawn_panel
from qoqtrain.monitor.curves import Curve, Panel, condensed, panels
from tests.qoqtrain.monitor.conftest import numbers, validated


def by_id(lines: list) -> dict[str, Panel]:
    return {panel.id: panel for panel in panels(lines)}


def test_curves_are_by_domain_and_over_all() -> None:
    found = by_id([numbers(1), numbers(2)])
    reward = {curve.name: list(curve.points) for curve in found["reward"].curves}
    assert reward["all"] == [(1, pytest.approx(0.1)), (2, pytest.approx(0.2))]
    assert reward["ct"] == reward["all"] and len(reward) == 3
    # One colour of a domain in all panels, none of what stands for all.
    styles = {
        (curve.name, curve.style)
        for name in ("reward", "answer", "weight", "mass", "success")
        for curve in found[name].curves
    }
    assert len(styles) == 3 and ("all", None) in styles


def test_what_is_off_or_was_not_measured_has_no_panel() -> None:
    found = by_id([numbers(1)])
    assert [curve.name for curve in found["kl"].curves] == ["sampler"]
    assert not any(name.startswith("validation") for name in found)
    assert by_id([{"step": 1, "loss": 0.3}]).keys() == {"loss"}
    assert panels([]) == []


def test_validation_has_its_intervals_at_the_steps_that_have_one() -> None:
    lines = [numbers(1), numbers(2, validation=validated(0.5)), numbers(3)]
    whole, ct = by_id(lines)["validation-accuracy"].curves
    assert list(whole.points) == list(ct.points) == [(2, 0.5)]
    assert list(whole.bands) == [(2, pytest.approx(0.4), pytest.approx(0.6))]
    drawn = drawn_panel(by_id(lines)["validation-accuracy"])
    assert [curve.last for curve in drawn.curves] == ["0.5 (0.4-0.6)"] * 2


def test_long_runs_become_means_of_stretches() -> None:
    points = [(float(x), float(x % 2)) for x in range(10)]
    assert condensed(points, 5) == [(x + 0.5, 0.5) for x in range(0, 10, 2)]
    assert condensed(points, 10) == points
    assert sum(y for _, y in condensed([(x, 1.0) for x in range(1001)])) == 251


@pytest.mark.parametrize(
    "points",
    [
        [(1.0, 5.0)],
        [(1.0, 0.0), (2.0, 0.0)],
        [(1.0, -3.0), (100.0, 1e6)],
        [(1.0, 1e-9), (2.0, 2e-9)],
    ],
)
@pytest.mark.parametrize("log", [False, True])
def test_everything_lies_inside_the_axes(points: list, log: bool) -> None:
    drawn = drawn_panel(Panel("p", "P", "", [Curve("a", 9, points)], log=log))
    (curve,) = drawn.curves
    pairs = [tuple(map(float, p.split(","))) for p in re.findall(r"[\d.]+,[\d.]+", curve.path)]
    for x, y in [*pairs, *curve.dots]:
        assert LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM
    assert 1 <= len(drawn.up) <= 12 and len(drawn.across) >= 1
    places = [place for place, _ in drawn.up]
    assert places == sorted(places, reverse=True)
    assert curve.look == "k2 d1"


def test_small_shares_are_drawn_from_nearer_and_from_zero() -> None:
    for most, top in ((0.001, "0.05"), (0.17, "0.2"), (0.5, "1")):
        panel = Panel("p", "P", "", [Curve("a", None, [(0.0, 0.0), (9.0, most)])], (0.0, 1.0))
        ticks = [text for _, text in drawn_panel(panel).up]
        assert (ticks[0], ticks[-1]) == ("0", top)


def test_a_share_is_drawn_where_it_belongs() -> None:
    panel = Panel("p", "P", "", [Curve("a", None, [(0.0, 0.0), (10.0, 1.0)])], (0.0, 1.0))
    (curve,) = drawn_panel(panel).curves
    assert curve.path == f"M{LEFT},{HEIGHT - BOTTOM}L{WIDTH - RIGHT},{TOP}"
