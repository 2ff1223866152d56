"""The verl adapter inside verl's own trainer; what is remote there is a stand-in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import UsageError

pytest.importorskip("verl", reason="verl is not installed (it needs transformers below 5.11)")
pytest.importorskip("transfer_queue", reason="TransferQueue is not installed")

import ray
import torch
import transfer_queue as tq
from verl.protocol import DataProto
from verl.trainer.ppo.core_algos import get_adv_estimator_fn
from verl.trainer.ppo.ray_trainer import compute_advantage
from verl.trainer.ppo.v1 import PPOTrainerSync
from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer
from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories

from qoqtrain import DRPO
from qoqtrain.adapters.host import metrics_of
from qoqtrain.adapters.verl import DRPOTrainer
from tests.qoqtrain.adapters.rewards_by_label import share
from tests.qoqtrain.adapters.toy_verl import (
    BATCH,
    DOMAINS,
    ROLLOUTS,
    Rollouts,
    configuration,
    trainer_of,
)

PRIORS = {"chest_xray": 9000, "ct": 400}


@pytest.fixture(scope="module")
def queue() -> Iterator[None]:
    """A real TransferQueue on a local ray."""
    ray.init(num_cpus=8, include_dashboard=False, log_to_driver=False)
    tq.init()
    yield
    tq.close()
    ray.shutdown()


@pytest.fixture
def logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log.jsonl"
    monkeypatch.setenv("VERL_FILE_LOGGER_PATH", str(path))
    return path


def fitted(config: Any) -> Any:
    trainer = trainer_of(config)
    trainer.fit(Rollouts())
    return trainer


def by_prompt(update: list[tuple[str, str, str, list[float]]]) -> dict[Any, list[float]]:
    """Advantages of the tokens by prompt, session and output; without padding."""
    return {
        (text, *map(int, key.split("_")[1:])): advantages
        for key, text, _, advantages in update
        if not key.startswith("pad")
    }


@pytest.mark.slow
def test_fit_trains_on_drpo_advantages(queue: None, logged: Path, tmp_path: Path) -> None:
    trainer = fitted(configuration(tmp_path))
    by_hand = DRPO.from_stats(None, "modality", priors=PRIORS)
    entries = [json.loads(line)["data"] for line in logged.read_text().splitlines()]
    updates = trainer.actor_rollout_wg.updates
    assert len(updates) == len(entries) == 2
    for update, entry in zip(updates, entries, strict=True):
        rows = by_prompt(update)
        assert len(rows) == BATCH * ROLLOUTS - 1 + 2  # one rollout lost, two more outputs
        assert len(update) == 36  # padded to a multiple of 12
        rollouts = sorted({(text, session) for text, session, _ in rows})
        step = by_hand.step(
            [np.float32(share(*rollout)) for rollout in rollouts],
            [text for text, _ in rollouts],
            [text.split()[0] for text, _ in rollouts],
        )
        expected = dict(zip(rollouts, step.advantages, strict=True))
        for (text, session, output), advantages in rows.items():
            assert len(advantages) == 2 + session + output
            assert advantages == pytest.approx([expected[text, session]] * len(advantages))
        padding = [row[3] for row in update if row[0].startswith("pad")]
        assert len(padding) == 11 and not np.any(padding)
        assert {domain for _, _, domain, _ in update} <= set(DOMAINS)
        metrics = metrics_of(step.report)
        assert {name: entry[name] for name in metrics} == pytest.approx(metrics)
    assert trainer.drpo.checksum() == by_hand.checksum()
    assert trainer.trainer_mode == "sync" and type(trainer.replay_buffer) is ReplayBuffer


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["auto", "resume_path"])
def test_a_resumed_run_is_the_unbroken_run(
    queue: None, logged: Path, tmp_path: Path, mode: str
) -> None:
    whole = fitted(configuration(tmp_path))
    checkpoints = tmp_path / "checkpoints"
    (checkpoints / "latest_checkpointed_iteration.txt").write_text("1")
    first = checkpoints / "global_step_1"
    assert {path.name for path in first.iterdir()} == {"actor", "data.pt", "drpo_state.json"}
    changes = ["trainer.resume_mode=auto"]
    if mode == "resume_path":
        changes = ["trainer.resume_mode=resume_path", f"trainer.resume_from_path={first}"]
    (checkpoints / "global_step_2").rename(tmp_path / "before")
    resumed = fitted(configuration(tmp_path, *changes))
    (update,) = resumed.actor_rollout_wg.updates
    assert by_prompt(update) == by_prompt(whole.actor_rollout_wg.updates[1])
    assert resumed.drpo.checksum() == whole.drpo.checksum()
    with pytest.raises(UsageError, match=r"alpha is 1\.0 there and 0\.5 here"):
        trainer_of(configuration(tmp_path, *changes, "+trainer.v1.drpo.settings.alpha=0.5"))
    for path in checkpoints.glob("*/drpo_state.json"):
        path.unlink()
    with pytest.raises(UsageError, match="holds no DRPO state"):
        trainer_of(configuration(tmp_path, *changes))


@pytest.mark.slow
def test_grpo_on_this_path_is_verls_own(queue: None, logged: Path, tmp_path: Path) -> None:
    """The preset without weights against verl's handling of sessions, padding and ragged groups."""
    ours = fitted(configuration(tmp_path, "+trainer.v1.drpo.preset=grpo"))
    again = configuration(
        tmp_path,
        "trainer.v1.trainer_mode=sync",
        "algorithm.adv_estimator=grpo",
        "trainer.resume_mode=disable",
        f"trainer.default_local_dir={tmp_path / 'other'}",
    )
    theirs = fitted(again)
    assert type(theirs) is PPOTrainerSync
    pairs = zip(ours.actor_rollout_wg.updates, theirs.actor_rollout_wg.updates, strict=True)
    for mine, other in pairs:
        expected = by_prompt(other)
        for row, advantages in by_prompt(mine).items():
            assert advantages == pytest.approx(expected[row], abs=1e-4)


@pytest.mark.slow
def test_a_row_without_a_domain_is_refused(queue: None, logged: Path, tmp_path: Path) -> None:
    trainer = trainer_of(configuration(tmp_path, "+trainer.v1.drpo.domain_column=site"))
    before = trainer.drpo.checksum()
    with pytest.raises(UsageError, match="no value in the column 'site'"):
        trainer.fit(Rollouts())
    assert trainer.drpo.checksum() == before
    tq.kv_clear(keys=list(tq.kv_list("train")["train"]), partition_id="train")


def test_the_estimator_alone_knows_no_domains() -> None:
    data = DataProto.from_dict(
        tensors={"token_level_rewards": torch.ones(2, 3), "response_mask": torch.ones(2, 3)},
        non_tensors={"uid": np.array(["a", "a"], dtype=object)},
    )
    for dispatch in (compute_advantage, compute_advantage_for_multi_trajectories):
        keys = {} if dispatch is compute_advantage else {"batch_keys": ["a_0_0", "a_1_0"]}
        with pytest.raises(UsageError, match=r"trainer\.v1\.trainer_mode=drpo"):
            dispatch(data, adv_estimator="drpo", **keys)
    assert get_adv_estimator_fn("drpo").__module__ == "qoqtrain.adapters.verl"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("algorithm.adv_estimator=grpo", "is 'grpo' in the trainer 'drpo'"),
        ("+trainer.v1.drpo.settings.kl_damping=rollout_abs", "kl_damping: the KL"),
        ("+trainer.v1.drpo.colour=red", "unknown DRPO options: colour"),
    ],
)
def test_what_verl_cannot_serve_is_refused(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DRPOTrainer(configuration(tmp_path, override))


def test_a_batch_in_another_order_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verl 0.9 computes advantages in the order of the keys; another order must not pass."""
    trainer = DRPOTrainer(configuration(tmp_path))
    monkeypatch.setattr(trainer, "_domains", lambda *_: ["ct"] * 4)

    def shuffled(*_: Any) -> Any:
        rewards = torch.tensor([[0.0], [1.0], [0.5], [0.25]])
        return get_adv_estimator_fn("drpo")(rewards, torch.ones(4, 1), index=list("abab"))

    monkeypatch.setattr(PPOTrainerSync, "_compute_advantage", shuffled)
    batch = SimpleNamespace(keys=["a_0_0", "a_1_0", "b_0_0", "b_1_0"], tags=[{}] * 4)
    with pytest.raises(UsageError, match="not in the order of their keys"):
        trainer._compute_advantage(batch, {})
