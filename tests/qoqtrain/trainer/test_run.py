"""Whole runs on the demo: variants of a step, what they write, and what stops them."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

import qoqtrain  # noqa: E402
from qoqdata.cli.main import app as qoqdata_app  # noqa: E402
from qoqdata.errors import QoqdataError, UsageError  # noqa: E402
from qoqtrain.rollout.protocol import Rollout  # noqa: E402
from qoqtrain.trainer.engine.ranks import Ranks  # noqa: E402
from qoqtrain.trainer.log import metrics  # noqa: E402
from qoqtrain.trainer.loop import train  # noqa: E402
from qoqtrain.trainer.plan.settings import Reward, read_settings  # noqa: E402
from qoqtrain.trainer.step.scoring import score_rollouts, weigh  # noqa: E402


def run(small: dict, *assignments: str) -> list[dict]:
    """The numbers of a run."""
    torch.set_num_threads(1)
    train(read_settings(values=small, assignments=assignments))
    return metrics.read_metrics(Path(small["out"]) / metrics.FILE)


def test_several_updates_with_a_reference(small):
    lines = run(
        small, "steps=1", "updates=2", "questions=4", "loss.kl=0.05", "optimizer.learning_rate=0.01"
    )
    # The first update starts from the reference; later ones have left it, and the old policy.
    assert lines[-1]["policy"]["kl_reference"] > 0
    assert lines[-1]["policy"]["max_ratio"] > 1.0
    assert lines[0]["time"]["parts"].keys() >= {"old", "reference", "generate", "update"}


def test_adapters_train_and_are_merged_into_the_model(small, warm):
    from safetensors.torch import load_file

    lines = run(
        small,
        "steps=1",
        "lora.rank=4",
        "loss.kl=0.05",
        "rollouts.per_question=8",
        "optimizer.learning_rate=0.05",
    )
    name = "model.safetensors"
    before, after = load_file(warm.model / name), load_file(Path(small["out"]) / "model" / name)
    assert before.keys() == after.keys()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert any(line["gradient_norm"] > 0 for line in lines)
    assert moved
    assert all(".self_attn." in key for key in moved)


def test_difficulty_reads_the_rollouts_of_a_run(small, demo):
    run(small, "steps=1")
    rollouts = Path(small["out"]) / "rollouts.parquet"
    arguments = ["difficulty", str(demo), "--from", str(rollouts), "--policy", "tiny"]
    ended = CliRunner().invoke(qoqdata_app, arguments)
    assert ended.exit_code == 0, ended.output
    found = pl.read_parquet(demo / "difficulty" / "tiny.parquet")
    (demo / "difficulty" / "tiny.parquet").unlink()
    rows = pl.read_parquet(rollouts)
    assert found["n_rollouts"].to_list() == [4] * 4
    expected = rows.group_by("id").agg(pl.col("answer").mean()).sort("id")
    assert found.sort("id")["success_rate"].to_list() == pytest.approx(expected["answer"].to_list())


def test_functions_are_silent_and_leave_the_libraries_as_they_were(small, capfd, monkeypatch):
    from transformers.utils import logging

    monkeypatch.delenv("DS_ACCELERATOR", raising=False)
    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    settings, heard = {**small, "steps": 1}, []
    assert qoqtrain.dry_run(settings).plan.shape.steps == 1
    folder = qoqtrain.train(settings, progress=heard.append)
    assert folder == Path(small["out"]) / "model" and (folder / "model.safetensors").is_file()
    assert [(one.step, one.steps) for one in heard] == [(1, 1)]
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before
    assert "DS_ACCELERATOR" not in os.environ


def test_a_rollout_without_a_reward_stops_the_run_and_is_named():
    from qoqtrain.rewards import truth_of

    rollout = Rollout("r17", 0, 0, (1,), "\\boxed{a}", False)
    reward = Reward(settings={"weights": [0.0, 1.0, 0.0, 0.0]})
    with pytest.raises(UsageError, match=r"record r17: a rollout has the reward None"):
        score_rollouts([rollout], [truth_of("a")], reward)


def test_advantages_of_ranks_are_slices_of_one_step():
    """Two ranks in turn against one that holds all: the same advantages and states."""
    from qoqtrain.drpo import DRPO

    scores = [{"overall": v, "answer": v} for v in (0.0, 1.0, 0.5, 0.25, 1.0, 1.0, 0.0, 0.75)]
    rollouts = [Rollout("ab"[i // 4], i // 4, i % 4, (1, 2), "", False) for i in range(8)]
    domains = ["ct", "mri"]
    whole = DRPO.preset()
    expected = weigh(whole, rollouts, domains, scores, Ranks())
    halves = []
    for rank in (0, 1):
        mine = slice(4 * rank, 4 * rank + 4)

        class Pair(Ranks):
            def gather(self, value):
                other = [dict(row) for row in expected.everyone]
                assert value == other[mine]  # noqa: B023
                return [other[:4], other[4:]]

        drpo = DRPO.preset()
        found = weigh(drpo, rollouts[mine], domains, scores[mine], Pair(rank, 2))
        assert drpo.checksum() == whole.checksum()
        halves += found.advantages
    assert halves == expected.advantages
    assert any(halves)


def test_a_loss_that_is_not_finite_stops_before_the_weights_change(small, monkeypatch):
    from qoqtrain.trainer.step import update

    real = update.policy_loss

    def broken(*given, **named):
        loss, report = real(*given, **named)
        return loss * float("nan"), report

    monkeypatch.setattr(update, "policy_loss", broken)
    with pytest.raises(QoqdataError, match="the loss is nan"):
        run(small)
    assert not (Path(small["out"]) / "checkpoints").exists()


def test_a_prompt_that_is_too_long_is_named_or_left_out(small):
    with pytest.raises(UsageError, match=r"record \w+: .* cannot be shown .*: a prompt of \d+ tok"):
        run(small, "rollouts.prompt_tokens=100")
    with pytest.raises(UsageError, match=r"(\d+) of \1 training records cannot be shown"):
        run(small, "rollouts.prompt_tokens=5", "rollouts.unfit=leave_out")
    lines = run(small, "rollouts.prompt_tokens=400", "rollouts.unfit=leave_out", "steps=3")
    # Nothing is missing from a step: what cannot be shown was never drawn.
    assert [(line["left_out"], line["groups"]["asked"]) for line in lines] == [(0, 4)] * 3
