"""A run's folder as training writes it, without training: settings, numbers, rollouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qoqdata.dataset import Dataset
from qoqtrain.rewards import Truth
from qoqtrain.rollout.protocol import Rollout
from qoqtrain.trainer.log import metrics, rollouts
from qoqtrain.trainer.plan.settings import read_settings, write_settings
from tests.validation.written_set import write
from tests.viewer.conftest import BOXED, HEART, HOSTILE, PLAIN, rows


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return write(tmp_path / "set", rows())


def numbers(step: int, **more: Any) -> dict[str, Any]:
    """A step's numbers: two domains, of which one improves."""
    domain = {"answer": 0.5, "success_rate": 0.4, "weight": 1.5, "squared_mass": 0.5}
    return {
        "step": step,
        "reward": 0.1 * step,
        "answer": 0.5,
        "ess": 0.4,
        "drpo": {"ess_unweighted": 0.6},
        "domains": {
            "ct": {"reward": 0.1 * step, **domain},
            HOSTILE: {"reward": 0.2, **domain},
        },
        "policy": {"entropy": 2.0, "kl_reference": 0.0, "kl_old": 0.01},
        "loss": 0.1,
        **more,
    }


def validated(value: float) -> dict[str, Any]:
    estimate = {"value": value, "low": value - 0.1, "high": value + 0.1}
    return {"questions": 9, "accuracy": estimate, "domains": {"ct": {"accuracy": estimate}}}


def add_step(out: Path, line: dict[str, Any]) -> None:
    with (out / metrics.FILE).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def rollout_rows(step: int, question: str, texts: list[str], rewards: list[float]) -> Any:
    answers = [
        Rollout(question, 0, n, (1, 2), text, truncated=False) for n, text in enumerate(texts)
    ]
    scores = [
        {
            "overall": r,
            "answer": r,
            "grounding": None,
            "format": 1.0,
            "length": None,
            "prediction": t,
        }
        for r, t in zip(rewards, texts, strict=True)
    ]
    truth = Truth(answer="x", stored_sizes=((240, 240),))
    spread = [r - sum(rewards) / len(rewards) for r in rewards]
    record = {"domain": "chest_xray", "source": "films"}
    return rollouts.rollout_table(
        answers, [record], scores, spread, [truth], step=step, policy="tiny"
    )


BOX = '[{"bbox_2d": [10, 20, 60, 80], "label": "tumour"}] \\boxed{x}'


@pytest.fixture
def run(tmp_path: Path, dataset: Dataset) -> Path:
    """Three steps, two of them with rollouts; the last validated."""
    out = tmp_path / "run"
    values = {"data": str(dataset.root), "model": "tiny", "out": str(out)}
    write_settings(read_settings(values=values))
    for step in (1, 2):
        add_step(out, numbers(step))
    add_step(out, numbers(3, validation=validated(0.5)))
    for step, name in ((2, HEART), (3, BOXED)):
        table = rollout_rows(step, name, [BOX, HOSTILE], [1.0, 0.0])
        rollouts.write_rollouts(out, table, step=step, rank=0)
    tied = rollout_rows(3, PLAIN, ["a", "b"], [0.0, 0.0])
    rollouts.write_rollouts(out, tied, step=3, rank=1)
    return out
