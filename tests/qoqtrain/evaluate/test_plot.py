"""The plot shows what the evaluation says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from qoqdata.errors import UsageError
from qoqtrain.evaluate import summarise
from qoqtrain.evaluate.report import figure_of


def test_dots_and_bars_are_the_estimates(singles: Callable) -> None:
    pytest.importorskip("matplotlib")
    ct = singles([0, 0, 1, 1], [0, 1, 1, 1], 2, source="one", domain="ct")
    ecg = singles([0, 1], [0, 1], 2, source="two", domain="ecg")
    alone = [replace(outcome, patient="p") for outcome in ecg]
    found = summarise([*ct, *alone], bootstrap=30)
    (axes,) = figure_of(found).axes
    *bars, dots = axes.lines
    # From the bottom: ecg, whose one patient gives no interval, ct, overall.
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["ecg", "ct", "overall"]
    below, above = found.domains
    values = [above.metrics["macro_f1"].value, below.metrics["macro_f1"].value]
    assert list(dots.get_xdata()) == [*values, found.metrics["macro_f1"].value]
    interval = below.metrics["macro_f1"]
    assert [list(bar.get_xdata()) for bar in bars] == [[interval.low, interval.high]]


def test_without_matplotlib_the_extra_is_named(
    singles: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UsageError, match="plot"):
        figure_of(summarise(singles([0], [0], 2), bootstrap=0))
