"""DRPO in verl: a synchronous trainer named "drpo", and an advantage estimator of that name.

Tested with verl 0.9.1. verl hands a registered estimator no column of the data set, so the name
alone is not enough: the trainer fetches the domains and puts them within the estimator's reach.

    VERL_USE_EXTERNAL_MODULES=qoqtrain.adapters.verl python -m verl.trainer.main_ppo \\
        algorithm.adv_estimator=drpo trainer.v1.trainer_mode=drpo \\
        +trainer.v1.drpo.dataset=DATASET +trainer.v1.drpo.domain_column=domain ...

The block trainer.v1.drpo holds the options of `qoqtrain.adapters.verl_inputs.drpo_of`; its
`domain_column` is a column of the training files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UsageError
from qoqtrain.adapters.host import load_state, metrics_of, require_release, save_state
from qoqtrain.adapters.verl_inputs import Sessions, drpo_of, sessions_of

TESTED = "0.9"
# Before verl is imported: it takes long, and another release may fail in it.
require_release("verl", TESTED)

import torch  # noqa: E402
import transfer_queue as tq  # noqa: E402
from omegaconf import OmegaConf, open_dict  # noqa: E402
from verl.trainer.ppo.core_algos import register_adv_est  # noqa: E402
from verl.trainer.ppo.v1 import PPOTrainerSync, register_trainer  # noqa: E402

NAME = "drpo"

# (rewards (B,), question (B,)) -> advantages (B,) of the batch that a trainer is at.
Weigh = Callable[[NDArray[np.float64], Sequence[str]], NDArray[np.float64]]
_weigh: ContextVar[Weigh] = ContextVar("drpo_weigh")


@register_adv_est(NAME)
def drpo_advantages(
    token_level_rewards: Any, response_mask: Any, index: Any = None, **_: Any
) -> tuple[Any, Any]:
    """Advantages and returns (B, tokens) from rewards (B, tokens) and question ids `index` (B,).

    Raises UsageError outside the trainer "drpo", where the domains are not known.
    """
    weigh = _weigh.get(None)
    if weigh is None or index is None:
        raise UsageError(
            "DRPO needs the domain of each rollout, which verl gives to no estimator",
            where="algorithm.adv_estimator=drpo",
            fix="set trainer.use_v1=true and trainer.v1.trainer_mode=drpo",
        )
    rewards = token_level_rewards.double().sum(dim=-1).cpu().numpy()
    advantages = torch.as_tensor(weigh(rewards, list(index))).to(token_level_rewards)
    spread = advantages.unsqueeze(-1) * response_mask
    return spread, spread


@register_trainer(NAME)
class DRPOTrainer(PPOTrainerSync):
    """verl's synchronous trainer with DRPO advantages, its state saved beside data.pt.

    Padding rows get advantage 0 and take no part in the statistics; of a session with several
    outputs the last one counts, and all of them get its advantage. Raises UsageError for
    unusable options, rows without a domain, and a checkpoint of another run.
    """

    def __init__(self, config: Any) -> None:
        if config.algorithm.adv_estimator != NAME:
            raise UsageError(
                f"is {config.algorithm.adv_estimator!r} in the trainer {NAME!r}",
                where="algorithm.adv_estimator",
                fix=f"set algorithm.adv_estimator={NAME}",
            )
        block = config.trainer.v1.get(NAME)
        options = {} if block is None else OmegaConf.to_container(block, resolve=True)
        self.drpo, self.domain_column = drpo_of(options)
        if self.drpo.settings.kl_damping != "none":
            raise UsageError(
                "the KL of the rollouts is not passed on by this adapter",
                where="kl_damping",
                fix="set kl_damping=none; actor.use_kl_loss adds a KL term to the loss",
            )
        # verl compares the mode with "sync" in many places, and takes any other for asynchronous.
        with open_dict(config):
            config.trainer.v1.trainer_mode = "sync"
        super().__init__(config)

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        sessions = sessions_of(batch.keys, batch.tags)
        domains = self._domains(batch, sessions)

        def weigh(rewards: NDArray[np.float64], questions: Sequence[str]) -> NDArray[np.float64]:
            if tuple(questions[row] for row in sessions.last) != sessions.questions:
                raise UsageError("the rows are not in the order of their keys", where="verl batch")
            step = self.drpo.step(rewards[sessions.last], sessions.questions, domains)
            metrics.update(metrics_of(step.report))
            return sessions.spread(step.advantages)

        token = _weigh.set(weigh)
        try:
            return super()._compute_advantage(batch, metrics)
        finally:
            _weigh.reset(token)

    def _domains(self, batch: Any, sessions: Sessions) -> list[Any]:
        """Domain of each session, from the columns that verl stores with every row."""
        column = self.domain_column
        data = tq.kv_batch_get(
            keys=[batch.keys[row] for row in sessions.last],
            partition_id=batch.partition_id,
            select_fields=[column],
        )
        if column not in data.keys():  # noqa: SIM118, a TensorDict iterates over rows
            raise UsageError(
                f"a row has no value in the column {column!r}",
                where="data.train_files",
                fix="name the column with +trainer.v1.drpo.domain_column=...",
            )
        return data.pop(column).tolist()

    def _checkpoint_folder(self) -> Path:
        return Path(self.config.trainer.default_local_dir) / f"global_step_{self.global_steps}"

    def _save_checkpoint(self) -> None:
        # First, because the parent ends with the tracker file that makes the checkpoint count.
        save_state(self.drpo.state_dict(), self._checkpoint_folder())
        super()._save_checkpoint()

    def _load_checkpoint(self) -> None:
        super()._load_checkpoint()
        if self.global_steps == 0:
            return
        trainer = self.config.trainer
        named = trainer.resume_mode == "resume_path"
        load_state(
            self.drpo, Path(trainer.resume_from_path) if named else self._checkpoint_folder()
        )
