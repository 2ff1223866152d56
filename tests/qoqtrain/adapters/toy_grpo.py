"""A tiny GRPO problem: a random Qwen2 of 30 thousand weights, 32 prompts in three domains.

Run as a module, under torchrun or alone, it trains three steps and writes what each rank saw.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig

from qoqtrain import DRPO
from qoqtrain.adapters.trl import DRPOTrainer
from tests.qoqtrain.adapters.rewards_by_label import share

# Prompts of each domain; a large, a small and a rare one.
DOMAINS = {"chest_xray": 24, "ct": 6, "ultrasound": 2}
PRIORS = {"chest_xray": 9000, "ct": {"n_records": 400, "success_rate": 0.3, "n_questions": 50}}
ROLLOUTS = 4
SPECIAL = ["<|endoftext|>", "<|im_end|>"]


def prompts() -> Dataset:
    """Rows with a prompt and the domain under the name `modality`."""
    rows = [
        {"prompt": f"{domain} study {i}: which finding?", "modality": domain}
        for domain, count in DOMAINS.items()
        for i in range(count)
    ]
    return Dataset.from_list(rows)


def policy() -> tuple[Qwen2ForCausalLM, PreTrainedTokenizerFast]:
    """A random Qwen2 and a byte-level tokenizer trained on the prompts."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(prompts()["prompt"], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=SPECIAL[1], pad_token=SPECIAL[0], padding_side="left"
    )
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    return Qwen2ForCausalLM(config), tokenizer


def estimator(**changes: Any) -> DRPO:
    return DRPO.from_stats(None, "modality", priors=PRIORS, **changes)


def arguments(folder: Path, **changes: Any) -> GRPOConfig:
    """Two micro-batches of 16 rollouts to a generation, one optimizer step each."""
    settings: dict[str, Any] = {
        "per_device_train_batch_size": 16,
        "per_device_eval_batch_size": 16,
        "steps_per_generation": 2,
        "gradient_accumulation_steps": 1,
        "num_generations": ROLLOUTS,
        "max_completion_length": 6,
        "max_steps": 8,
        "save_steps": 1,
        "logging_steps": 1,
        "learning_rate": 1e-2,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": [],
        "disable_tqdm": True,
        "seed": 3,
    }
    return GRPOConfig(output_dir=str(folder), **{**settings, **changes})


def reward_by_place(prompts: list[str], **_: Any) -> list[float]:
    """Reward of a rollout by its prompt and its place in the global batch, not by its text."""
    first = int(os.environ.get("RANK", "0")) * len(prompts)
    return [share(text, (first + i) % ROLLOUTS) for i, text in enumerate(prompts)]


Row = tuple[list[int], list[int], float]


def rows_of(batch: dict[str, Any]) -> list[Row]:
    """Prompt, completion and advantage of every row."""
    columns = (batch[name].tolist() for name in ("prompt_ids", "completion_ids", "advantages"))
    return list(zip(*columns, strict=True))


class Recorder(DRPOTrainer):
    """Keeps the local batches as they leave the adapter (`made`) and reach the loss (`used`), and
    those of evaluation (`evaluated`)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made: list[list[Row]] = []
        self.used: list[list[Row]] = []
        self.evaluated: list[list[Row]] = []

    @property
    def advantages(self) -> list[list[float]]:
        return [[advantage for _, _, advantage in rows] for rows in self.made]

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        output = super()._generate_and_score_completions(inputs)
        (self.made if self.model.training else self.evaluated).append(rows_of(output))
        return output

    def _compute_loss(self, model: Any, inputs: Any) -> Any:
        if self.model.training:
            self.used.append(rows_of(inputs))
        return super()._compute_loss(model, inputs)


def main(folder: Path, rows: int, other_rank_differs: bool) -> None:
    rank = int(os.environ.get("RANK", "0"))
    model, tokenizer = policy()
    trainer = Recorder(
        model,
        reward_funcs=reward_by_place,
        args=arguments(
            folder / "run", per_device_train_batch_size=rows, steps_per_generation=1, max_steps=3
        ),
        train_dataset=prompts(),
        processing_class=tokenizer,
        drpo=estimator(strength=12.0 if other_rank_differs and rank == 1 else 24.0),
    )
    trainer.train()
    seen = {"advantages": trainer.advantages, "checksum": trainer.drpo.checksum()}
    (folder / f"rank{rank}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] == ["differ"])
