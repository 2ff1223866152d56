"""The sampler that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from qoqtrain.data.prompt import ImagePlace, TextPart
from qoqtrain.rollout.colocated import ColocatedSampler
from qoqtrain.rollout.protocol import Sampler, SamplingSettings
from qoqtrain.rollout.sglang import SglangSampler
from qoqtrain.rollout.vllm import VllmSampler, chat_message
from qoqtrain.trainer.engine.engine import computes_in_bfloat16
from qoqtrain.trainer.plan.settings import TrainSettings
from qoqtrain.trainer.run import TrainingRun

if TYPE_CHECKING:
    from torch import Tensor

    from qoqtrain.data.batch import Row
    from qoqtrain.data.collate import Collator

#: Stands for an image in the text of a message; no record holds it.
_MARK = "\ue000\ue002\ue000"
#: Prompts with an ECG that are embedded at once.
_TOGETHER = 8


def sampling_of(settings: TrainSettings) -> SamplingSettings:
    """How many rollouts of a question, and how they are drawn."""
    rollouts = settings.rollouts
    return SamplingSettings(
        n=rollouts.per_question,
        temperature=rollouts.temperature,
        top_p=rollouts.top_p,
        max_tokens=rollouts.response_tokens,
    )


def sampler_of(
    run: TrainingRun, rows: Sequence[Row], records: Sequence[Mapping[str, Any]]
) -> Sampler:
    """The sampler of the settings' backend for the questions `rows`, of `records` with encoded
    images where it is not the policy itself."""
    backend = run.settings.rollouts.backend
    if backend == "local":
        return local_sampler(run, rows)
    embeddings = ecg_embeddings(run, rows)
    shared: dict[str, Any] = {
        "embeddings": embeddings,
        "opened": run.collator.opened,
        "silent": tuple(run.collator.processor.silent_tokens),
    }
    if backend == "vllm":
        messages_of = partial(chat_messages, run.collator)
        return VllmSampler(run.servers, run.settings.model, messages_of, **shared)
    ids = [
        [] if row in embeddings else run.collator.served_ids(record)
        for row, record in enumerate(records)
    ]
    if run.colocated is not None:
        return ColocatedSampler(run.colocated, ids, **shared)
    return SglangSampler(run.servers, ids, **shared)


def local_sampler(run: TrainingRun, rows: Sequence[Row]) -> Sampler:
    """The run's own policy."""
    from qoqtrain.rollout.local import LocalSampler

    def inputs_of(indices: Sequence[int]) -> dict[str, Tensor]:
        batch = run.collator.batch([rows[index] for index in indices])
        return batch.to(run.engine.device).inputs()

    return LocalSampler(
        run.engine.module,
        inputs_of,
        run.collator.response_text,
        run.settings.rollouts.batch_tokens,
        gather=run.ranks.gather if run.settings.engine.zero == 3 else None,
    )


def ecg_embeddings(run: TrainingRun, rows: Sequence[Row]) -> dict[int, Tensor]:
    """(tokens, width) of the prompts with an ECG, by row, in the dtype that servers compute in;
    all ranks call this, as often as the one with most."""
    asked = [index for index, row in enumerate(rows) if row.ecg is not None]
    cuts = [asked[start : start + _TOGETHER] for start in range(0, len(asked), _TOGETHER)]
    dtype = torch.bfloat16 if computes_in_bfloat16(run.settings) else torch.float32
    found: dict[int, Tensor] = {}
    for number in range(max(run.ranks.gather(len(cuts)))):
        if number < len(cuts):
            batch = run.collator.batch([rows[index] for index in cuts[number]])
            inputs = batch.to(run.engine.device).inputs()
        else:
            # Nothing to embed, and the others gather the weights: a token that nobody asks for.
            one = torch.ones(1, 1, dtype=torch.long, device=run.engine.device)
            inputs = {"input_ids": 0 * one, "attention_mask": one, "mm_token_type_ids": 0 * one}
        embedded = run.engine.module.embeddings(**inputs)
        if number < len(cuts):
            pairs = zip(cuts[number], embedded, strict=True)
            found |= {index: one.to(dtype) for index, one in pairs}
    return found


def chat_messages(collator: Collator, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A record, whose images are encoded bytes, as the messages of a chat."""
    images = list(record.get("images") or ())
    stored = [(info["width"], info["height"]) for info in record.get("image_info") or ()]
    parts = collator.parts(record, stored)
    words = [part.text if isinstance(part, TextPart) else _MARK for part in parts]
    places = [images[part.index] for part in parts if isinstance(part, ImagePlace)]
    turns = [chat_message("".join(words), places, _MARK)]
    if collator.system is not None:
        turns.insert(0, {"role": "system", "content": collator.system})
    return turns
