"""Two gloo ranks: the losses of one rank at every ZeRO stage, resume, and a rank that dies."""

from __future__ import annotations

import signal
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

from qoqtrain.trainer.log import metrics
from qoqtrain.trainer.loop import train
from qoqtrain.trainer.plan.settings import read_settings
from tests.qoqtrain.trainer import processes
from tests.qoqtrain.trainer.conftest import taught


def lines(out: str | Path) -> list[dict]:
    return metrics.read_metrics(Path(out) / metrics.FILE)


def alone(small: dict, out: Path) -> list[dict]:
    """The same run on one rank with torch alone."""
    torch.set_num_threads(1)
    train(read_settings(values={**small, "out": str(out), "micro_batch": 8}))
    return lines(out)


def together(small: dict, zero: int) -> list[dict]:
    """The run on two ranks with DeepSpeed."""
    ended = processes.run({**small, "engine": {**small["engine"], "zero": zero}}, world=2)
    assert [process.code for process in ended] == [0, 0], ended[0].errors + ended[1].errors
    return lines(small["out"])


def agree(found: list[dict], expected: list[dict]) -> None:
    """Rollouts and rewards are the same; losses and gradients within rounding of float32."""
    assert len(found) == len(expected)
    assert any(line["gradient_norm"] > 0.01 for line in expected)
    for one, other in zip(found, expected, strict=True):
        assert one["reward"] == pytest.approx(other["reward"], abs=1e-9)
        assert one["drpo"]["n_questions"] == other["drpo"]["n_questions"]
        assert one["loss"] == pytest.approx(other["loss"], abs=2e-4)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=2e-2, abs=1e-4)


def same_model(one: Path, other: Path) -> None:
    """The same tensors; AdamW moves a weight with a gradient of rounding size either way."""
    for name in ("model.safetensors", "ecg/model.safetensors"):
        here, there = load_file(one / name), load_file(other / name)
        assert here.keys() == there.keys()
        apart = torch.cat([(here[key] - there[key]).abs().flatten() for key in here])
        assert (apart < 1e-4).float().mean() > 0.99


def test_two_ranks_end_with_the_same_weights_which_are_those_of_one(small, tmp_path):
    small["steps"] = 2
    found = together(small, 2)
    first, second = (Path(small["out"]) / f"weights-{rank}" for rank in (0, 1))
    assert first.read_text() == second.read_text()
    agree(found, alone(small, tmp_path / "alone"))
    same_model(tmp_path / "alone" / "model", Path(small["out"]) / "model")


@pytest.mark.slow
def test_ranks_that_take_their_own_row_groups_train_as_one_rank_does(small, tmp_path):
    """Who asks what is another matter than what is asked."""
    small["steps"] = 2
    in_turn = together({**small, "out": str(tmp_path / "turn")}, 2)
    of_turn = rollouts_by_rank(tmp_path / "turn")
    small["own_row_groups"] = True
    found = together(small, 2)
    assert rollouts_by_rank(Path(small["out"])) != of_turn
    agree(found, in_turn)
    agree(found, alone(small, tmp_path / "alone"))


def rollouts_by_rank(out: Path) -> dict[str, list[str]]:
    """The questions of each file of rollouts, which names step and rank."""
    files = sorted((out / "rollouts.parquet").glob("*.parquet"))
    return {path.name: pl.read_parquet(path)["id"].to_list() for path in files}


@pytest.mark.slow
def test_two_ranks_with_zero_2_train_as_one_rank_does(small, tmp_path):
    small["steps"] = 3
    found = together(small, 2)
    agree(found, alone(small, tmp_path / "alone"))
    rows = pl.read_parquet(Path(small["out"]) / "rollouts.parquet")
    same_model(tmp_path / "alone" / "model", Path(small["out"]) / "model")
    # Every rank logs its own questions; no rollout is there twice.
    assert rows.height == 3 * 4 * 4
    assert rows.select("step", "id", "rollout").is_unique().all()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_every_zero_stage_gives_the_same_losses(family, demo, small, tmp_path):
    # A policy that is never rewarded has no gradient to compare: Qwen2.5-VL learns slowly.
    small["model"] = str(taught(family, demo, tmp_path, steps=120).model)
    expected = alone(small, tmp_path / "alone")
    for zero in (0, 1, 2, 3):
        small["out"] = str(tmp_path / f"zero{zero}")
        agree(together(small, zero), expected)
        same_model(tmp_path / "alone" / "model", tmp_path / f"zero{zero}" / "model")


@pytest.mark.slow
@pytest.mark.parametrize(("zero", "offload"), [(1, "optimizer"), (2, "optimizer"), (3, "all")])
def test_offloading_gives_the_same_losses(zero, offload, small, tmp_path):
    small["steps"] = 3
    small["engine"]["offload"] = offload
    found = together(small, zero)
    small["engine"]["offload"] = "none"
    agree(found, alone(small, tmp_path / "alone"))


@pytest.mark.slow
@pytest.mark.parametrize("zero", [0, 2, 3])
def test_two_ranks_resume(zero, small, tmp_path):
    small["engine"]["zero"] = zero
    whole = {**small, "out": str(tmp_path / "whole")}
    assert [process.code for process in processes.run(whole, world=2)] == [0, 0]
    ended = processes.run(small, world=2, kill_at=4, kill_rank=1)
    assert ended[1].code == -signal.SIGKILL
    assert ended[0].code == 1
    assert "another rank died" in ended[0].errors
    assert "Traceback" not in ended[0].errors
    assert [process.code for process in processes.run(small, world=2)] == [0, 0]
    found, expected = lines(small["out"]), lines(tmp_path / "whole")
    for line in (*found, *expected):
        del line["time"]
    assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("zero", [0, 1, 2, 3])
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_another_number_of_ranks_goes_on_to_the_same_losses(zero, before, after, small, tmp_path):
    """Within the tolerance of `agree`, which is that of sums in another order."""
    small["engine"]["zero"] = zero
    expected = alone({**small, "engine": {**small["engine"], "zero": 0}}, tmp_path / "alone")
    ended = processes.run({**small, "steps": 2}, world=before)
    assert [process.code for process in ended] == [0] * before, ended[0].errors
    ended = processes.run(small, world=after)
    assert [process.code for process in ended] == [0] * after, ended[0].errors
    agree(lines(small["out"]), expected)
    same_model(tmp_path / "alone" / "model", Path(small["out"]) / "model")
    left = [path.name for path in (Path(small["out"]) / "checkpoints").glob(".*")]
    assert left == []
