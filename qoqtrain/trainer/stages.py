"""What each stage trains."""

from __future__ import annotations

from typing import Any

from qoqdata.errors import UsageError
from qoqtrain.trainer import adapters
from qoqtrain.trainer.settings import TrainSettings


def choose_trained(policy: Any, settings: TrainSettings) -> None:
    """Switch gradients on for what the stage trains, off for the rest.

    "align": the ECG branch, encoder and projector, under a frozen vision-language model; "sft" and
    "drpo": everything, or with `lora` the adapters and the ECG branch. Raises UsageError for the
    alignment of a policy without an ECG branch: vision towers of Qwen models are aligned already.
    """
    if settings.stage == "align":
        if policy.ecg is None:
            raise UsageError(
                "there is nothing to align: the policy has no ECG branch",
                where="stage",
                fix="use a data set with ECGs, or go on with the stage sft or drpo",
            )
        policy.vlm.requires_grad_(False)
        policy.ecg.requires_grad_(True)
        return
    if settings.lora is None:
        policy.requires_grad_(True)
        return
    policy.requires_grad_(False)
    adapters.add(policy, settings.lora)
    if policy.ecg is not None:
        policy.ecg.requires_grad_(True)
