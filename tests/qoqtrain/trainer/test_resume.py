"""A killed run that goes on gives the numbers of an unbroken one, bit for bit."""

from __future__ import annotations

import signal
from pathlib import Path

import polars as pl
import pytest
import torch

from qoqdata.atomic import file_digest
from qoqdata.errors import UsageError
from qoqtrain.trainer.log import metrics
from qoqtrain.trainer.loop import train
from qoqtrain.trainer.plan.settings import read_settings
from tests.qoqtrain.trainer import processes


def numbers(out: Path) -> list[dict]:
    """The metrics of a run without what a clock says."""
    lines = metrics.read_metrics(out / metrics.FILE)
    return [{name: value for name, value in line.items() if name != "time"} for line in lines]


def rollouts(out: Path) -> pl.DataFrame:
    return pl.read_parquet(out / "rollouts.parquet").sort("step", "id", "rollout")


def weights(model: Path) -> dict[str, str]:
    """Digests of the weights below a folder."""
    files = model.rglob("*.safetensors")
    return {path.relative_to(model).as_posix(): file_digest(path) for path in files}


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_numbers(small, tmp_path):
    torch.set_num_threads(1)
    whole = {**small, "out": str(tmp_path / "whole")}
    broken = {**small, "out": str(tmp_path / "broken")}
    train(read_settings(values=whole))
    # Killed in step 4, after the checkpoint of step 2 and the metrics of step 3.
    (ended,) = processes.run(broken, kill_at=4)
    assert ended.code == -signal.SIGKILL, ended.errors
    assert [line["step"] for line in numbers(tmp_path / "broken")] == [1, 2, 3]
    train(read_settings(values=broken))
    expected = numbers(tmp_path / "whole")
    assert [line["step"] for line in expected] == [1, 2, 3, 4]
    # The runs learnt something, or equality would say little.
    assert any(line["gradient_norm"] > 0 for line in expected)
    assert numbers(tmp_path / "broken") == expected
    assert rollouts(tmp_path / "broken").equals(rollouts(tmp_path / "whole"))
    one, other = (weights(tmp_path / name / "model") for name in ("whole", "broken"))
    assert len(one) == 2  # the vision-language model and the ECG branch
    assert one == other


def test_other_settings_are_refused(small):
    train(read_settings(values={**small, "steps": 1}))
    with pytest.raises(UsageError, match="settings"):
        train(read_settings(values={**small, "steps": 2, "seed": 7}))
