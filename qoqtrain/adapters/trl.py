"""DRPO in TRL: a GRPOTrainer whose advantages come from `qoqtrain.drpo`.

Tested with TRL 1.16. GRPOTrainer computes its advantages inside one long private method, so four
private methods are extended here: `_calculate_rewards` keeps the gathered rewards and domains,
`_generate_and_score_completions` replaces the advantages, `_save_checkpoint` and
`_load_optimizer_and_scheduler` carry the state. Everything else is TRL's: loss, clipping, KL.

    trainer = DRPOTrainer(
        model, reward_funcs=[answer, format], args=GRPOConfig(..., reward_weights=[0.8, 0.2]),
        train_dataset=data,                        # with a column "domain"
        drpo=DRPO.from_stats(qoqdata.open(DATASET).stats),
    )

One DRPO batch is one generation batch: per_device_train_batch_size x processes x
steps_per_generation rollouts; the published runs have 2,560.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.errors import UsageError
from qoqtrain.adapters.host import load_state, metrics_of, require_release, save_state
from qoqtrain.drpo import DRPO
from qoqtrain.trainer.engine.ranks import require_agreement

TESTED = "1.16"
# Before TRL is imported: it takes long, and another release may fail in it.
require_release("trl", TESTED)

import torch  # noqa: E402
from accelerate.utils import gather_object  # noqa: E402
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR  # noqa: E402
from trl import GRPOTrainer  # noqa: E402


class DRPOTrainer(GRPOTrainer):
    """GRPOTrainer with DRPO advantages.

    `drpo` is the estimator, on every rank the same; `domain_column` the column of the data set
    that names the domain of a row (default: `drpo.domain_key`); `check_every` after how many
    generation batches the states of the ranks are compared. The other arguments are TRL's.

    A row that no reward function could score (None) is not valid: it gets advantage 0 and takes no
    part in the statistics. A row that some could not score counts their part as 0, as in TRL.
    Evaluation keeps TRL's advantages and leaves the estimator alone. Raises UsageError for a
    setting that TRL cannot serve, ranks that disagree, and a checkpoint of another run.
    """

    # Attributes of the parent, whose types are left open there.
    args: Any
    model: Any
    num_generations: Any
    _logs: Any

    # For the model card.
    _tag_names = ["trl", "drpo"]  # noqa: RUF012
    _name = "DRPO"
    _paper = {  # noqa: RUF012
        "title": "QoQ-Med: Building Multimodal Clinical Foundation Models with Domain-Aware GRPO"
        " Training",
        "id": "2506.00711",
    }

    def __init__(
        self,
        *args: Any,
        drpo: DRPO,
        domain_column: str | None = None,
        check_every: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.drpo = drpo
        self.domain_column = domain_column or drpo.domain_key
        self.check_every = check_every
        self._by_part = drpo.settings.group == "gdpo" or drpo.settings.part_weights is not None
        self._batches = 0
        self._state_before_batch = drpo.state_dict()
        self._require_servable()

    def _require_servable(self) -> None:
        settings, columns = self.drpo.settings, getattr(self.train_dataset, "column_names", None)
        if self.check_every < 1:
            raise UsageError(f"check_every={self.check_every}", fix="pass 1 or more")
        if settings.kl_damping != "none":
            raise UsageError(
                "TRL has no KL of the rollouts when advantages are made",
                where="kl_damping",
                fix="set kl_damping='none'; GRPOConfig(beta=...) adds a KL term to the loss",
            )
        if columns is not None and self.domain_column not in columns:
            raise self._no_domain()
        weights = self.reward_weights.tolist()
        parts = settings.part_weights or (1.0,) * len(weights)
        if self._by_part and not np.allclose(parts, weights, rtol=1e-6):
            raise UsageError(
                f"are {list(parts)} in DRPO and {weights} in GRPOConfig(reward_weights=...)",
                where="part_weights",
                fix="pass the same weights to both, in the order of the reward functions",
            )

    def _no_domain(self) -> UsageError:
        return UsageError(
            f"a row has no value in the column {self.domain_column!r}",
            where="train_dataset",
            fix="name the column with domain_column=..., and keep remove_unused_columns=False",
        )

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any
    ) -> Any:
        """The parent's rewards, kept with the domains of all ranks for the advantages."""
        rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        if self.model.training:
            domains = gather_object([row.get(self.domain_column) for row in inputs])
            self._scored = (rewards.double().cpu().numpy(), domains)
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        """The parent's rollouts, in training with DRPO advantages in place of its own."""
        output = super()._generate_and_score_completions(inputs)
        if not self.model.training:
            return output
        advantages = self._advantages(*self._scored)
        ours = output["advantages"]
        first = self.accelerator.process_index * len(ours)
        output["advantages"] = torch.as_tensor(
            advantages[first : first + len(ours)], dtype=ours.dtype, device=ours.device
        )
        logged = self._logs["advantages"]
        for _ in range(min(len(advantages), len(logged))):
            logged.pop()
        logged.extend(advantages.tolist())
        return output

    def _advantages(self, parts: np.ndarray, domains: list[Any]) -> np.ndarray:
        """(B,) advantages of the global batch from rewards (B, functions), equal on every rank."""
        if any(domain is None for domain in domains):
            raise self._no_domain()
        missing = np.isnan(parts)
        valid = ~(missing.any(axis=1) if self._by_part else missing.all(axis=1))
        rewards = np.where(missing, 0.0, parts)
        if not self._by_part:
            rewards = (rewards * self.reward_weights.double().cpu().numpy()).sum(axis=1)
        self._state_before_batch = self.drpo.state_dict()
        advantages, metrics = np.zeros(len(parts)), {"drpo/n_rollouts": 0.0}
        if valid.any():
            questions = np.arange(len(parts)) // self.num_generations
            step = self.drpo.step(rewards, questions, domains, valid=valid)
            advantages, metrics = step.advantages, metrics_of(step.report)
        for name, value in metrics.items():
            self._metrics["train"][name].append(value)
        if self._batches % self.check_every == 0:
            self._require_agreement()
        self._batches += 1
        return advantages

    def _require_agreement(self) -> None:
        if len(set(gather_object([self.drpo.checksum()]))) > 1:
            require_agreement(gather_object([self.drpo.state_dict()]))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """The parent's checkpoint and the DRPO state.

        In the middle of a generation batch that is the state before it: TRL does not save rollouts,
        a resumed run makes them anew for the same prompts, and each question is to count once.
        """
        if self.args.should_save:
            unfinished = self._step % (self.args.steps_per_generation * self.num_iterations)
            state = self._state_before_batch if unfinished else self.drpo.state_dict()
            name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            # First, because the parent deletes older checkpoints.
            save_state(state, Path(self._get_output_dir(trial=trial)) / name)
        super()._save_checkpoint(model, trial)

    def _load_optimizer_and_scheduler(self, checkpoint: Any) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            load_state(self.drpo, Path(checkpoint))
