"""Drawn ECGs measure what clinical paper measures, by hand: 25 mm a second, 10 mm a millivolt."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np

from qoqdata.drawing.ecg_paper import LEFT, ROW, TOP, sheet_svg, sheets


def strokes(svg: str) -> list[list[tuple[float, float]]]:
    """Points of every stroke of the leads, in millimetres."""
    found = re.findall(r"M(-?[\d.]+,-?[\d.]+(?: -?[\d.]+,-?[\d.]+)*)", svg)
    return [[tuple(map(float, pair.split(","))) for pair in one.split()] for one in found]  # type: ignore[misc]


def recording(signal: list[list[float]], fs: float, valid: list | None = None) -> dict:
    leads = ["I", "II", "<V1>"][: len(signal)]
    return {"leads": leads, "fs": fs, "signal": signal, "valid": valid}


def test_a_millivolt_and_a_second() -> None:
    svg = sheet_svg(recording([[0.0, 1.0, -0.5, 0.0, 0.0]], fs=2.0))
    middle = TOP + ROW / 2
    x = [LEFT + 12.5 * n for n in range(5)]
    assert strokes(svg) == [
        list(zip(x, [middle, middle - 10, middle + 5, middle, middle], strict=True))
    ]
    # The pulse: 1 mV for 0.2 s.
    assert re.search(r"v-10h5v10", svg)
    assert ElementTree.fromstring(svg).get("width") == "275mm"


def test_gaps_stay_gaps() -> None:
    signal = [[0.0, 0.1, 0.2, float("nan"), 0.4, 0.5, 0.6, 0.7]]
    valid = [[True, True, True, True, True, True, False, True]]
    lines = strokes(sheet_svg(recording(signal, 4.0, valid)))
    assert [len(line) for line in lines] == [3, 2, 1]
    assert "nan" not in sheet_svg(recording(signal, 4.0, valid))


def test_sheets_of_ten_seconds() -> None:
    for samples, count in ((1, 1), (5000, 1), (5001, 2), (15000, 3)):
        assert sheets(recording([[0.0] * samples], 500.0)) == count
    second = strokes(sheet_svg(recording([[0.0] * 30 + [1.0] * 5], 3.0), number=1))
    assert [len(line) for line in second] == [5]
    assert second[0][0] == (LEFT, TOP + ROW / 2 - 10)


def test_dense_signals_keep_their_extremes() -> None:
    signal = np.zeros(100_000)
    signal[54_321], signal[76_543] = 1.5, -1.0
    (line,) = strokes(sheet_svg(recording([signal.tolist()], 10_000.0)))
    heights = [TOP + ROW / 2 - y for _, y in line]
    assert (max(heights), min(heights)) == (15.0, -10.0)
    assert len(line) < 12_000


def test_names_of_leads_stay_text() -> None:
    svg = sheet_svg(recording([[0.0]] * 3, 100.0))
    texts = [node.text for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("text")]
    assert texts[1:] == ["I", "II", "<V1>"]
