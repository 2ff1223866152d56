"""What a run would refuse of its policy, its servers and its validation, before it loads any."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from qoqdata.answer_format import response
from qoqdata.errors import UsageError
from qoqtrain.model.ecg_jepa import check_encoder
from qoqtrain.model.storage import check_weights
from qoqtrain.rollout.servers import unreachable
from qoqtrain.trainer.plan.settings import TrainSettings

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset
    from qoqtrain.data.collate import Collator

#: The packages that bring a kind of attention; transformers fetches kernels by the last.
_PACKAGES = {
    "flash_attention_2": ("flash_attn", "kernels"),
    "flash_attention_3": ("flash_attn_interface", "kernels"),
}


def refuse_policy(settings: TrainSettings, collator: Collator) -> None:
    """Raise UsageError for a policy that lacks weights, whose tokenizer loses what answers are
    written with, or whose attention is not installed; UnreadableFile for a damaged file."""
    check_weights(settings.model)
    _refuse_attention(settings)
    _refuse_tokenizer(settings, collator)
    _refuse_ecg_weights(settings, collator)


def refuse_validation(dataset: Dataset, settings: TrainSettings, *, reads_ecg: bool) -> None:
    """Raise UsageError or DatasetError where a validation would have no question, or not the
    figure that policies are kept by."""
    from qoqtrain.trainer.questions import ecg_ids
    from qoqtrain.trainer.validation import refuse_figure, validation_set

    if settings.validation.every is None:
        return
    asked = validation_set(dataset, settings, [] if reads_ecg else ecg_ids(dataset))
    refuse_figure(settings.validation.best, {str(one["domain"]) for one in asked.questions})


def lost_servers(settings: TrainSettings) -> dict[str, str]:
    """The servers of a run that do not answer, and why; raises UsageError for one that answers and
    cannot serve the run."""
    rollouts = settings.rollouts
    if settings.stage != "drpo" or not rollouts.serves:
        return {}
    tokens = rollouts.prompt_tokens + rollouts.response_tokens
    return unreachable(rollouts.urls, settings.model, tokens=tokens)


def refuse_servers(settings: TrainSettings) -> None:
    """Raise UsageError where none of the servers of a run answers."""
    lost = lost_servers(settings)
    if lost and len(lost) == len(settings.rollouts.urls):
        url, why = next(iter(lost.items()))
        raise UsageError(why, where=url, fix="start it, or set rollouts.backend to local")


def _refuse_attention(settings: TrainSettings) -> None:
    packages = _PACKAGES.get(settings.engine.attention, ())
    if packages and not any(map(importlib.util.find_spec, packages)):
        raise UsageError(
            f"{settings.engine.attention} needs {' or '.join(packages)}, and neither is installed",
            where="engine.attention",
            fix="install one of them, or set engine.attention to sdpa",
        )


def _refuse_tokenizer(settings: TrainSettings, collator: Collator) -> None:
    """A response must come back from its tokens as it was written."""
    record = {"reasoning": "because", "answer": "B. x_1 (5 mm)"}
    text = response(record, boxes='[{"bbox_2d": [1, 2, 3, 4], "label": "a"}]')
    tokenizer = collator.processor.tokenizer
    found = collator.processor.decode(tokenizer(text, add_special_tokens=False)["input_ids"])
    if found.strip() != text:
        raise UsageError(
            f"the tokenizer makes {found.strip()!r} of {text!r}, so no answer could be read",
            where=settings.model,
            fix="train a model whose tokenizer keeps every letter, and <think> as no special token",
        )


def _refuse_ecg_weights(settings: TrainSettings, collator: Collator) -> None:
    if settings.ecg_weights is None:
        return
    config = collator.processor.ecg
    if config is None:
        fix = "leave them out, or set ecg to the settings of their encoder"
        raise UsageError("the policy has no ECG branch", where="ecg_weights", fix=fix)
    check_encoder(config, Path(settings.ecg_weights))
