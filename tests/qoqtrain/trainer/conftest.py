"""The demo data set, and a tiny policy that supervised training has taught to answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """The demo's data set, all its domains, with statistics."""
    from qoqdata.dataset import open_dataset
    from qoqdata.demo import SALT, stage
    from qoqdata.pipeline.build import build
    from qoqdata.pipeline.config import BuildSetting
    from qoqdata.statistics import difficulty
    from qoqdata.statistics.prior import write_prior
    from tests.statistics.written import write_stats

    root = tmp_path_factory.mktemp("demo")
    build(stage(root / "raw"), root / "set", BuildSetting(SALT, workers=1))
    opened = open_dataset(root / "set")
    write_prior(opened)
    scored = difficulty.choose(opened.layout, None)
    write_stats(opened, scored)
    return root / "set"


#: Mostly domains with one answer, so that a tiny policy is rewarded now and then.
WEIGHTS = {"mri": 12, "ct": 2, "ultrasound": 2, "ecg": 1, "chest_xray": 1, "pathology": 1}
MIX = {"by": "domain", "weights": {**WEIGHTS, "dermoscopy": 1}}


@dataclass(frozen=True)
class Warm:
    """A supervised run: the folder of its model and the numbers of its steps."""

    model: Path
    steps: list[dict[str, Any]]


def taught(family: str, demo: Path, root: Path, steps: int = 80) -> Warm:
    """A tiny policy of `family` after a few supervised steps on the demo's answers."""
    import torch

    import qoqdata
    from qoqtrain.model.tiny import write_tiny
    from qoqtrain.trainer.loop import train
    from qoqtrain.trainer.plan.settings import read_settings

    torch.set_num_threads(1)
    texts = qoqdata.open(demo).records.select("question", "answer").collect()
    words = [*texts["question"], *texts["answer"], "\\boxed{}"]
    write_tiny(root / "first", family, texts=words)
    numbers: list[dict[str, Any]] = []
    settings = read_settings(
        values={
            "data": str(demo),
            "model": str(root / "first"),
            "out": str(root / "warm"),
            "stage": "sft",
            "steps": steps,
            "questions": 8,
            "micro_batch": 8,
            "mix": MIX,
            "rollouts": {"response_tokens": 64, "unfit": "leave_out"},
            "optimizer": {"learning_rate": 0.01, "schedule": "cosine"},
            "engine": {"gradient_checkpointing": False},
        }
    )
    model = train(settings, lambda progress: numbers.append(dict(progress.numbers)))
    return Warm(model, numbers)


@pytest.fixture(scope="session")
def warm(demo, tmp_path_factory) -> Warm:
    """A tiny Qwen3-VL that answers in boxes now and then."""
    return taught("qwen3_vl", demo, tmp_path_factory.mktemp("qwen3_vl"))


@pytest.fixture(scope="session")
def order(demo, warm, tmp_path_factory) -> int:
    """The first seed by which each of two steps learns: the tiny policy is right now and then."""
    from qoqtrain.trainer.loop import train
    from qoqtrain.trainer.plan.settings import read_settings

    for seed in range(20):
        out = tmp_path_factory.mktemp("order") / "run"
        values = drpo(demo, warm, out) | {"steps": 2, "seed": seed}
        norms: list[float] = []
        train(
            read_settings(values=values),
            lambda progress, norms=norms: norms.append(progress.numbers["gradient_norm"]),
        )
        if min(norms) > 0.01:
            return seed
    raise AssertionError("no order of twenty lets two steps learn: teach the policy longer")


def drpo(demo: Path, warm: Warm, out: Path) -> dict[str, Any]:
    """Settings of a DRPO run of four steps."""
    return {
        "data": str(demo),
        "model": str(warm.model),
        "out": str(out),
        "steps": 4,
        "mix": MIX,
        "questions": 4,
        "micro_batch": 4,
        "rollouts": {"per_question": 4, "response_tokens": 24},
        "optimizer": {"learning_rate": 0.002},
        "checkpoints": {"every": 2},
        "engine": {"gradient_checkpointing": False},
    }


@pytest.fixture
def small(demo, warm, order, tmp_path) -> dict[str, Any]:
    """Settings of a DRPO run whose first two steps learn."""
    return drpo(demo, warm, tmp_path / "run") | {"seed": order}
