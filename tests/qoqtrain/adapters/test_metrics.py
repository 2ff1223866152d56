"""The report under flat names."""

from __future__ import annotations

import pytest

from qoqtrain.adapters.metrics import metrics_of
from tests.qoqtrain.adapters.small_batch import BATCH, stepped


def test_metrics_are_flat_numbers() -> None:
    report = stepped().step(**BATCH).report
    metrics = metrics_of(report)
    assert all(type(value) is float for value in metrics.values())
    assert metrics["drpo/ess"] == report["ess"]
    assert metrics["drpo/n_unseen_domains"] == 1  # fundus has no record count
    assert metrics["drpo/domains/ct/success_rate"] == report["domains"]["ct"]["success_rate"]
    assert metrics["drpo/domains/ct/n_rollouts"] == 4
    shares = [metrics[f"drpo/domains/{domain}/squared_mass"] for domain in ("ct", "fundus")]
    assert sum(shares) == pytest.approx(1.0)
    assert metrics_of({"ess": None, "kl_damping": {"state": "off", "mean": None}}) == {}
