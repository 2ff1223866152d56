"""What the machine measured of a recording: times of the mean beat, and axes of its waves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

from qoqdata.sources import cells

#: Milliseconds from the start of the mean beat; rr_interval is from beat to beat.
TIMES = ("rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end", "t_end")
AXES = ("p_axis", "qrs_axis", "t_axis")
COLUMNS = (*TIMES, *AXES)
#: What the machine writes where it could not measure.
NOT_MEASURED = frozenset({-32768, -32767, 29999, 32767, 65535})
#: Angles wrap: where both ends are within a tolerance of each other, no number can be judged.
_WRAPS_FROM = 160

Times = Mapping[str, int]


@dataclass(frozen=True)
class Quantity:
    """A number task: its unit, what it is computed of, and the values that a heart can have."""

    unit: str
    parts: tuple[str, ...]
    value: Callable[[Times], float]
    low: float
    high: float


QUANTITIES = {
    "heart_rate": Quantity("/min", ("rr_interval",), lambda t: 60_000 / t["rr_interval"], 20, 300),
    "pr_interval": Quantity(
        "ms", ("p_onset", "qrs_onset"), lambda t: t["qrs_onset"] - t["p_onset"], 60, 500
    ),
    "qrs_duration": Quantity(
        "ms", ("qrs_onset", "qrs_end"), lambda t: t["qrs_end"] - t["qrs_onset"], 40, 300
    ),
    "qt_interval": Quantity(
        "ms", ("qrs_onset", "t_end"), lambda t: t["t_end"] - t["qrs_onset"], 180, 800
    ),
    "qtc_interval": Quantity(
        "ms",
        ("qrs_onset", "t_end", "rr_interval"),
        lambda t: (t["t_end"] - t["qrs_onset"]) / math.sqrt(t["rr_interval"] / 1000),
        250,
        800,
    ),
    **{
        name: Quantity("deg", (name,), itemgetter(name), -_WRAPS_FROM, _WRAPS_FROM) for name in AXES
    },
}


def measured(row: Mapping[str, str | None]) -> dict[str, int]:
    """The cells that hold a measurement; axes from -179 to 180 degrees."""
    found = {}
    for column in COLUMNS:
        value = cells.integer(row[column])
        # A beat of no length is none.
        if value is None or value in NOT_MEASURED or (column == "rr_interval" and value <= 0):
            continue
        if column in AXES:
            if not -360 < value <= 360:
                continue
            value = 180 - (180 - value) % 360
        found[column] = value
    return found


def in_order(times: Times) -> bool:
    """Whether the waves that were measured follow each other as in a beat."""
    marks = [times[name] for name in TIMES[1:] if name in times]
    return min(marks, default=0) >= 0 and all(one < two for one, two in pairwise(marks))


def axis_class(degrees: int) -> str:
    """The quadrant of a QRS axis, by the usual limits of -30 and 90 degrees."""
    if -30 <= degrees <= 90:
        return "Normal axis"
    if -90 <= degrees < -30:
        return "Left axis deviation"
    return "Right axis deviation" if degrees > 90 else "Extreme axis deviation"
