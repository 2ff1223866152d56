"""Who listens to the numbers of a run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from qoqdata.errors import UsageError
from qoqtrain.trainer.log import metrics
from qoqtrain.trainer.plan.settings import Log

NUMBERS = {"reward": 0.25, "policy": {"kl_old": 0.0}, "note": "text", "domains": ["ct"]}


def test_nested_numbers_are_flat_and_all_else_is_left_out() -> None:
    assert metrics.flat(NUMBERS) == {"reward": 0.25, "policy/kl_old": 0.0}


def test_a_line_that_a_kill_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / metrics.FILE
    listen = metrics.json_lines(path)
    listen(1, NUMBERS)
    listen(2, NUMBERS)
    path.write_bytes(path.read_bytes()[:-9])
    assert [line["step"] for line in metrics.read_metrics(path)] == [1]


def test_wandb_that_is_not_there_is_named(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match="wandb is not installed"):
        metrics.listeners(tmp_path, Log(wandb="ours"), {})


def test_a_run_that_goes_on_is_the_same_one_in_wandb(tmp_path: Path, monkeypatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    log = Log(wandb="ours", tensorboard=False)
    ids = []
    for step in (1, 2):
        metrics.tell(metrics.listeners(tmp_path, log, {"model": "m"}), step, NUMBERS)
        ids.append(wandb.run.id)
        assert wandb.run.config["model"] == "m"
        assert wandb.run.step == step
        wandb.teardown()
    assert ids[0] == ids[1]
    assert len(list((tmp_path / "wandb").glob(f"offline-run-*-{ids[0]}"))) == 2


def test_wandb_without_an_account_says_what_to_do(tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match="wandb login"):
        metrics.listeners(tmp_path, Log(wandb="ours", tensorboard=False), {})
