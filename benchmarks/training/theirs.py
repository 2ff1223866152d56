"""TRL's GRPOTrainer on the task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from benchmarks.training.task import Cost, Lap, Task, records_of
from qoqtrain import rewards
from qoqtrain.adapters.trl_processor import TrlProcessor
from qoqtrain.data.collate import Collator
from qoqtrain.data.images import rgb
from qoqtrain.data.prompt import TextPart, prompt
from qoqtrain.model.loading import load_policy
from qoqtrain.model.processor import Processor


class _Laps(TrainerCallback):
    def __init__(self, cost: Cost, warm_up: int) -> None:
        self.cost, self.warm_up, self.lap = cost, warm_up, Lap()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        cpu, wall = self.lap()
        if state.global_step > self.warm_up:
            self.cost.cpu.append(cpu)
            self.cost.wall.append(wall)


def run(data: str, model: Path, out: Path, task: Task, questions: Sequence[str]) -> Cost:
    """Train on the records `questions` (ids, step after step) with the same reward."""
    policy, processor = load_policy(model, dtype="float32")
    records = records_of(data)
    judge = Collator(processor)
    truths = {name: judge.truth(record, _sizes(record)) for name, record in records.items()}

    def reward(completions: Any, record: Sequence[str], **others: Any) -> list[float | None]:
        del others
        texts = [turns[0]["content"] for turns in completions]
        scores = rewards.score(
            texts, [truths[name] for name in record], truncated=[True] * len(texts)
        )
        return [score["overall"] for score in scores]

    cost = Cost()
    trainer = GRPOTrainer(
        model=policy.vlm,
        reward_funcs=reward,
        args=config(out, task),
        train_dataset=dataset_of([records[name] for name in questions], processor),
        processing_class=TrlProcessor(processor.image_processor, processor.tokenizer),
        callbacks=[_Laps(cost, task.warm_up)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    steps = task.warm_up + task.steps
    cost.response_tokens = steps * task.sequences * task.tokens
    cost.prompt_tokens = int(trainer.state.num_input_tokens_seen) - cost.response_tokens
    return cost


def config(out: Path, task: Task) -> GRPOConfig:
    """The task in TRL's terms: no reference policy, clipping as ours, nothing saved."""
    return GRPOConfig(
        output_dir=str(out),
        per_device_train_batch_size=task.micro_batch,
        gradient_accumulation_steps=task.sequences // task.micro_batch,
        num_generations=task.rollouts,
        max_completion_length=task.tokens,
        generation_kwargs={"min_new_tokens": task.tokens},
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        beta=0.0,
        epsilon=0.2,
        epsilon_high=0.3,
        delta=3.0,
        max_steps=task.warm_up + task.steps,
        learning_rate=task.learning_rate,
        lr_scheduler_type="constant",
        optim="adamw_torch",
        weight_decay=0.01,
        max_grad_norm=1.0,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        shuffle_dataset=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )


def dataset_of(records: Sequence[dict[str, Any]], processor: Processor) -> datasets.Dataset:
    """Prompts in words and placeholders, images as encoded bytes that are decoded when read."""
    rows = []
    for record in records:
        images = [_encoded(image) for image in record["images"] or ()]
        sizes = [processor.seen_size(*size) for size in _sizes(record)]
        parts = prompt(record, seen_sizes=sizes, frame=processor.family.frame)
        content = [
            {"type": "text", "text": part.text} if isinstance(part, TextPart) else {"type": "image"}
            for part in parts
        ]
        turns = [{"role": "user", "content": content}]
        rows.append({"prompt": turns, "images": images, "record": record["id"]})
    prompts = datasets.Dataset.from_list(rows)
    return prompts.cast_column("images", datasets.List(datasets.Image()))


def _encoded(image: Any) -> dict[str, Any]:
    data = image["bytes"] if isinstance(image, dict) else bytes(image)
    return {"bytes": data, "path": None}


def _sizes(record: dict[str, Any]) -> list[tuple[int, int]]:
    arrays = [rgb(image, record["id"]) for image in record["images"] or ()]
    return [(array.shape[1], array.shape[0]) for array in arrays]
