"""verl's synchronous trainer with everything remote replaced by the smallest stand-in.

Real: configuration, data set and loader, TransferQueue, replay buffer, padding and balancing, the
step and fit loops, checkpoint files, logging. Stand-ins: the rollout workers (rollouts come from a
hash) and the actor (it keeps the rows that an update would train on).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transfer_queue as tq
from hydra import compose, initialize_config_module
from tensordict import NonTensorData, NonTensorStack, TensorDict
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.utils.tensordict_utils import list_of_dict_to_tensordict

import qoqtrain.adapters.verl  # noqa: F401, registers the trainer
from tests.qoqtrain.adapters.rewards_by_label import share

DOMAINS = {"chest_xray": 9, "ct": 3, "ultrasound": 2}
ROLLOUTS = 4
# Prompts of a step; the second loses a rollout, the third answers once in three outputs.
BATCH = 6


def write_prompts(folder: Path) -> Path:
    rows = [
        {
            "prompt": [{"role": "user", "content": f"{domain} study {i}"}],
            "data_source": "toy",
            "modality": domain,
            "reward_model": {"style": "rule", "ground_truth": "yes"},
        }
        for domain, count in DOMAINS.items()
        for i in range(count)
    ]
    path = folder / "prompts.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def configuration(folder: Path, *overrides: str) -> Any:
    data = write_prompts(folder)
    with initialize_config_module("verl.trainer.config", version_base=None):
        return compose(
            "ppo_trainer",
            overrides=[
                f"data.train_files={data}",
                f"data.val_files={data}",
                f"data.train_batch_size={BATCH}",
                "data.filter_overlong_prompts=false",
                "data.dataloader_num_workers=0",
                "data.seed=1",
                f"actor_rollout_ref.rollout.n={ROLLOUTS}",
                "actor_rollout_ref.actor.ppo_mini_batch_size=3",
                "algorithm.adv_estimator=drpo",
                "algorithm.rollout_correction.bypass_mode=true",
                "trainer.v1.trainer_mode=drpo",
                "+trainer.v1.drpo.domain_key=modality",
                "+trainer.v1.drpo.priors={chest_xray: 9000, ct: 400}",
                f"trainer.default_local_dir={folder / 'checkpoints'}",
                "trainer.logger=[file]",
                "trainer.total_epochs=1",
                "trainer.save_freq=1",
                "trainer.test_freq=-1",
                "trainer.val_before_train=false",
                "trainer.n_gpus_per_node=1",
                *overrides,
            ],
        )


class Rollouts:
    """Stands in for the agent loop workers: stores rows just as they do."""

    def generate_sequences(self, prompts: TensorDict) -> None:
        for i in range(len(prompts)):
            columns = {name: _entry(value, i) for name, value in prompts.items()}
            for session in range(ROLLOUTS):
                if not (i == 1 and session == 2):
                    self._store(columns, session, outputs=3 if i == 2 and session == 1 else 1)
            tq.kv_batch_put(
                keys=[columns["uid"]], partition_id="train", tags=[{"status": "finished"}]
            )

    def _store(self, columns: dict[str, Any], session: int, outputs: int) -> None:
        text = columns["raw_prompt"][0]["content"]
        keys = [f"{columns['uid']}_{session}_{output}" for output in range(outputs)]
        rows, tags = [], []
        for output in range(outputs):
            length = 2 + session + output
            scores = torch.zeros(length)
            scores[-1] = share(text, session) if output == outputs - 1 else 0.0
            tokens = torch.arange(3 + length)
            rows.append(
                {
                    **columns,
                    "prompts": tokens[:3],
                    "responses": tokens[3:],
                    "input_ids": tokens,
                    "attention_mask": torch.ones_like(tokens),
                    "position_ids": tokens,
                    "response_mask": torch.ones(length, dtype=torch.int64),
                    "loss_mask": torch.ones(length, dtype=torch.int64),
                    "rm_scores": scores,
                    "rollout_log_probs": torch.full((length,), -1.0),
                    "num_turns": 2,
                    "multi_modal_inputs": {},
                    "extra_fields": {},
                }
            )
            tags.append(
                {
                    "status": "success",
                    "prompt_len": 3,
                    "response_len": length,
                    "seq_len": 3 + length,
                    "global_steps": 1,
                    "min_global_steps": 0,
                    "max_global_steps": 0,
                }
            )
        # The outputs reach the queue in any order.
        tq.kv_batch_put(
            keys=keys[::-1],
            partition_id="train",
            fields=list_of_dict_to_tensordict(rows[::-1]),
            tags=tags[::-1],
        )


class Actor:
    """Stands in for the actor's workers: keeps what each update would train on.

    `updates`: for each step the rows (key, prompt, domain, advantages of its tokens).
    """

    def __init__(self) -> None:
        self._dispatch_info = {"actor": [0]}
        self.updates: list[list[tuple[str, str, str, list[float]]]] = []

    def update_actor(self, batch: Any) -> dict[str, Any]:
        fields = ["advantages", "returns", "raw_prompt", "modality"]
        data = tq.kv_batch_get(batch.keys, batch.partition_id, fields)
        texts = [messages[0]["content"] for messages in data.get("raw_prompt").tolist()]
        advantages = [row.tolist() for row in data["advantages"].unbind()]
        assert advantages == [row.tolist() for row in data["returns"].unbind()]
        columns = (batch.keys, texts, data.get("modality").tolist(), advantages)
        self.updates.append(list(zip(*columns, strict=True)))
        return {"metrics": {"mfu": [0.0], "grad_norm": [1.0]}}

    def save_checkpoint(self, path: str, *_: Any, **__: Any) -> None:
        Path(path).mkdir(parents=True)

    def load_checkpoint(self, local_path: str, **_: Any) -> None:
        assert Path(local_path).is_dir()


def trainer_of(config: Any) -> Any:
    """The trainer that main_ppo would build, initialised up to its remote parts."""
    trainer = get_trainer_cls(config.trainer.v1.trainer_mode)(config)
    trainer.tokenizer = SimpleNamespace(pad_token_id=0, eos_token_id=1)
    trainer.processor = None
    trainer.actor_rollout_wg = Actor()
    trainer.reward_loop_manager = SimpleNamespace(reward_loop_worker_handles=[])
    trainer.resource_pool_manager = SimpleNamespace(get_n_gpus=lambda: 1)
    ignore = defaultdict(lambda: lambda *_, **__: None)
    trainer.checkpoint_manager = SimpleNamespace(
        update_weights=ignore["update"], sleep_replicas=ignore["sleep"]
    )
    trainer._init_dataloader()
    trainer._init_dump_executor()
    trainer._load_checkpoint()
    return trainer


def _entry(column: Any, i: int) -> Any:
    if isinstance(column, NonTensorStack):
        return column[i].data
    return column.data if isinstance(column, NonTensorData) else column[i]
