"""A panel as coordinates of an SVG, which `templates/run.html` draws in colours of the theme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qoqtrain.monitor.curves import Curve, Panel

#: The drawing in units of its own, and the margins of its axes.
WIDTH, HEIGHT = 420, 200
LEFT, RIGHT, TOP, BOTTOM = 48, 8, 8, 22
#: Colours, and patterns of dashes once all colours are used.
COLOURS, DASHES = 7, 3


@dataclass(frozen=True)
class DrawnCurve:
    """`path` and `area` (of the interval) as SVG paths, empty where there is nothing to draw;
    `dots` are drawn beside the line, all points of a short curve; `last` its value in words."""

    name: str
    look: str
    path: str
    area: str
    dots: Sequence[tuple[float, float]]
    last: str


@dataclass(frozen=True)
class DrawnPanel:
    """`across` and `up` are ticks: place and text."""

    id: str
    title: str
    note: str
    curves: Sequence[DrawnCurve]
    across: Sequence[tuple[float, str]]
    up: Sequence[tuple[float, str]]


def drawn_panel(panel: Panel) -> DrawnPanel:
    """The panel with its curves inside the axes."""
    steps = [x for curve in panel.curves for x, _ in curve.points]
    first, end = min(steps), max(steps)
    low, high = _extent(panel)

    def x(step: float) -> float:
        share = (step - first) / (end - first) if end > first else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 2)

    def y(value: float) -> float:
        value = min(max(value, low), high)
        if panel.log:
            share = math.log(value / low) / math.log(high / low)
        else:
            share = (value - low) / (high - low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 2)

    def drawn(curve: Curve) -> DrawnCurve:
        points = [(x(step), y(value)) for step, value in _positive(curve, panel.log)]
        upper = [(x(step), y(above)) for step, _, above in curve.bands]
        lower = [(x(step), y(below)) for step, below, _ in reversed(curve.bands)]
        return DrawnCurve(
            curve.name,
            _look(curve.style),
            _line(points) if len(points) > 1 else "",
            f"{_line([*upper, *lower])}Z" if len(upper) > 1 else "",
            points if len(points) < 3 else points[-1:],
            _last(curve),
        )

    return DrawnPanel(
        panel.id,
        panel.title,
        panel.note,
        [drawn(curve) for curve in panel.curves],
        [(x(tick), f"{tick:,.0f}") for tick in _steps(first, end)],
        [(y(tick), f"{tick:,.4g}") for tick in _ticks(low, high, log=panel.log)],
    )


def _extent(panel: Panel) -> tuple[float, float]:
    if panel.span is not None:
        # Small values of a large range are looked at from nearer, from the same ground.
        low, high = panel.span
        most = max(v for curve in panel.curves for _, v in [*curve.points, *_upper(curve)])
        near = _round_up(max((most - low) * 1.1, (high - low) / 20))
        return low, min(high, low + near)
    values = [v for curve in panel.curves for _, v in _positive(curve, panel.log)]
    values += [v for curve in panel.curves for _, low, high in curve.bands for v in (low, high)]
    low, high = (min(values), max(values)) if values else (1.0, 1.0)
    if panel.log:
        return min(low, 0.5) / 1.1, max(high, 2.0) * 1.1
    room = (high - low) * 0.05 or abs(high) * 0.1 or 0.5
    return low - room, high + room


def _upper(curve: Curve) -> list[tuple[float, float]]:
    return [(step, high) for step, _, high in curve.bands]


def _positive(curve: Curve, log: bool) -> list[tuple[float, float]]:
    return [point for point in curve.points if not log or point[1] > 0]


def _ticks(low: float, high: float, *, log: bool) -> list[float]:
    """Round numbers of the range, about five."""
    if log:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        parts = (1,) if len(decades) > 4 else (1, 2, 5)
        every = [part * 10.0**decade for decade in decades for part in parts]
        return [tick for tick in every if low <= tick <= high]
    size = _round_up((high - low) / 5)
    first = math.ceil(low / size - 1e-9)
    return [n * size for n in range(first, math.floor(high / size + 1e-9) + 1)]


def _steps(first: float, end: float) -> list[float]:
    """Whole steps, about five; the only one where there is one."""
    if end <= first:
        return [first]
    size = max(1.0, _round_up((end - first) / 5))
    ticks = range(math.ceil(first / size), math.floor(end / size) + 1)
    return [n * size for n in ticks]


def _round_up(size: float) -> float:
    power = 10.0 ** math.floor(math.log10(size))
    return next(part * power for part in (1, 2, 5, 10) if part * power >= size * (1 - 1e-9))


def _look(style: int | None) -> str:
    """Classes of the style sheet: a colour and dashes."""
    if style is None:
        return "whole"
    return f"k{style % COLOURS} d{style // COLOURS % DASHES}"


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g},{y:g}" for x, y in points)


def _last(curve: Curve) -> str:
    value = f"{curve.points[-1][1]:,.3g}"
    if not curve.bands:
        return value
    _, low, high = curve.bands[-1]
    return f"{value} ({low:,.3g}-{high:,.3g})"
