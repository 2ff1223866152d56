"""The sampler that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qoqdata.errors import UsageError
from qoqtrain.rollout.protocol import Sampler, SamplingSettings
from qoqtrain.trainer.plan.settings import TrainSettings
from qoqtrain.trainer.run import TrainingRun

if TYPE_CHECKING:
    from torch import Tensor

    from qoqtrain.data.batch import Row

#: Stands for an image in the text of a message; no record holds it.
_MARK = "\ue000\ue002\ue000"


def sampling_of(settings: TrainSettings) -> SamplingSettings:
    """How many rollouts of a question, and how they are drawn."""
    rollouts = settings.rollouts
    return SamplingSettings(
        n=rollouts.per_question,
        temperature=rollouts.temperature,
        top_p=rollouts.top_p,
        max_tokens=rollouts.response_tokens,
    )


def sampler_of(run: TrainingRun, rows: Sequence[Row]) -> Sampler:
    """The sampler of the settings' backend for the questions `rows`."""
    if run.settings.rollouts.backend == "vllm":
        return server_sampler(run)
    return local_sampler(run, rows)


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


def server_sampler(run: TrainingRun) -> Sampler:
    """vLLM servers that were started with the run's model; records' images are encoded bytes.

    Raises UsageError without address.
    """
    from qoqtrain.data.prompt import ImagePlace, TextPart, prompt
    from qoqtrain.rollout.vllm import ServerSampler, chat_message

    settings, collator = run.settings, run.collator
    if not settings.rollouts.urls:
        fix = "set rollouts.url, such as http://localhost:8000/v1"
        raise UsageError("the vLLM backend needs its server's address", fix=fix)

    def messages_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
        images = list(record.get("images") or ())
        processor = collator.processor
        stored = [(info["width"], info["height"]) for info in record.get("image_info") or ()]
        parts = prompt(
            record,
            seen_sizes=[processor.seen_size(*size) for size in stored],
            frame=processor.family.frame,
            boxes=collator.boxes,
        )
        words = [part.text if isinstance(part, TextPart) else _MARK for part in parts]
        places = [images[part.index] for part in parts if isinstance(part, ImagePlace)]
        turns = [chat_message("".join(words), places, _MARK)]
        if collator.system is not None:
            turns.insert(0, {"role": "system", "content": collator.system})
        return turns

    return ServerSampler(
        run.servers,
        settings.model,
        messages_of,
        opened=collator.opened,
        silent=tuple(collator.processor.silent_tokens),
    )
