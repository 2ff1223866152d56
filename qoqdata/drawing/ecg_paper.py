"""An ECG on millimetre paper as SVG: 25 mm/s and 10 mm/mV, one row a lead.

All lengths are millimetres, so that the drawing measures what it says when it is shown or printed
at its own size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Scales of clinical paper.
MM_A_SECOND, MM_A_MILLIVOLT = 25.0, 10.0
#: Seconds on one sheet.
SHEET = 10.0
#: Height of a lead's row; left margin, for its name and the calibration pulse; top margin.
ROW, LEFT, TOP = 25.0, 20.0, 8.0
#: A calibration pulse is 1 mV for 0.2 s.
_PULSE = (0.2 * MM_A_SECOND, 1.0 * MM_A_MILLIVOLT)
#: Finest detail that is drawn where nobody says otherwise, in points a millimetre.
POINTS = 40
_PAPER, _FINE, _COARSE, _INK = "#fffafa", "#f6cfd2", "#e3a0a6", "#111111"


def sheets(ecg: Mapping[str, Any]) -> int:
    """How many sheets of SHEET seconds a recording takes."""
    return max(1, int(np.ceil(seconds_of(ecg) / SHEET - 1e-9)))


def sheet_size(leads: int, seconds: float = SHEET) -> tuple[float, float]:
    """Width and height in mm of a sheet with so many leads."""
    return LEFT + seconds * MM_A_SECOND + 5, TOP + ROW * leads + 5


def sheet_svg(
    ecg: Mapping[str, Any],
    number: int = 0,
    *,
    leads: Sequence[int] | None = None,
    seconds: float = SHEET,
    points: int = POINTS,
) -> str:
    """One sheet of a recording, counted from 0.

    ecg      the record's column: leads, fs in Hz, signal (lead x sample, millivolts) and valid
    leads    places of the leads that are drawn; None for all
    seconds  how much of the sheet is drawn, from its beginning
    points   finest detail, in points a millimetre; extremes are kept
    What is not valid or not finite is a gap in the line.
    """
    shown = range(len(ecg["leads"])) if leads is None else leads
    width, height = sheet_size(len(shown), seconds)
    first = number * SHEET
    last = min(first + seconds, seconds_of(ecg))
    title = f"{first:g} to {last:g} s; 25 mm/s, 10 mm/mV; {float(ecg['fs']):g} Hz"
    size = f'width="{width:g}mm" height="{height:g}mm" viewBox="0 0 {width:g} {height:g}"'
    font = f'font-family="sans-serif" font-size="3.2" fill="{_INK}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{escape(title)}</title>',
        *_grid(width, height),
        f'<text x="{LEFT:g}" y="5" {font}>{escape(title)}</text>',
    ]
    for place, lead in enumerate(shown):
        parts += _row(ecg, lead, (first, first + seconds), TOP + ROW * (place + 0.5), points)
    return "".join([*parts, "</svg>"])


def seconds_of(ecg: Mapping[str, Any]) -> float:
    """How long a recording is."""
    return max((len(lead) for lead in ecg["signal"]), default=0) / float(ecg["fs"])


def _grid(width: float, height: float) -> Iterator[str]:
    for name, step, colour, weight in (("mm", 1, _FINE, 0.1), ("cm", 5, _COARSE, 0.2)):
        yield (
            f'<pattern id="{name}" width="{step}" height="{step}" patternUnits="userSpaceOnUse">'
            f'<path d="M{step} 0H0V{step}" fill="none" stroke="{colour}" stroke-width="{weight}"/>'
            "</pattern>"
        )
    area = f'width="{width:g}" height="{height:g}"'
    yield f'<rect {area} fill="{_PAPER}"/>'
    yield f'<rect {area} fill="url(#mm)"/><rect {area} fill="url(#cm)"/>'


def _row(
    ecg: Mapping[str, Any], lead: int, span: tuple[float, float], middle: float, points: int
) -> Iterator[str]:
    """Name, calibration pulse and line of a lead, whose zero is `middle`; `span` in seconds."""
    pulse_width, pulse_height = _PULSE
    line = f'fill="none" stroke="{_INK}" stroke-width="0.3" stroke-linejoin="round"'
    yield (
        f'<text x="1.5" y="{middle + 1.2:g}" font-family="sans-serif" font-size="4" '
        f'font-weight="bold" fill="{_INK}">{escape(str(ecg["leads"][lead]))}</text>'
    )
    yield (
        f'<path d="M{LEFT - 8:g} {middle:g}h1.5v{-pulse_height:g}h{pulse_width:g}'
        f'v{pulse_height:g}h1.5" {line}/>'
    )
    fs = float(ecg["fs"])
    first, last = (round(second * fs) for second in span)
    signal = np.asarray(ecg["signal"][lead][first:last], np.float64)
    valid = ecg.get("valid")
    drawn = np.isfinite(signal)
    if valid is not None and len(valid) > lead and len(valid[lead]):
        drawn &= np.asarray(valid[lead][first:last], bool)
    path = " ".join(_strokes(signal, drawn, fs, middle, points))
    if path:
        yield f'<path d="{path}" {line}/>'


def _strokes(
    signal: NDArray[np.float64], drawn: NDArray[np.bool_], fs: float, middle: float, points: int
) -> Iterator[str]:
    """The path of every stretch without a gap."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], drawn, [False]]).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2):
        places = _worth_drawing(signal[start:stop], fs, points) + start
        x = LEFT + places / fs * MM_A_SECOND
        y = middle - signal[places] * MM_A_MILLIVOLT
        yield "M" + " ".join(f"{a:.2f},{b:.2f}" for a, b in zip(x, y, strict=True))


def _worth_drawing(signal: NDArray[np.float64], fs: float, points: int) -> NDArray[np.int64]:
    """Places of the samples to draw: all, or of dense ones the lowest and highest of each step."""
    step = int(fs / (points / 2 * MM_A_SECOND))
    if step < 2:
        return np.arange(len(signal))
    whole = len(signal) // step * step
    blocks = signal[:whole].reshape(-1, step)
    starts = np.arange(0, whole, step)
    extremes = np.stack([starts + blocks.argmin(axis=1), starts + blocks.argmax(axis=1)], axis=1)
    return np.concatenate([np.sort(extremes, axis=1).ravel(), np.arange(whole, len(signal))])
