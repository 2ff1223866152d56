"""The model families that can be trained: in which frame they name corners, how they chat."""

from __future__ import annotations

from dataclasses import dataclass

from qoqdata.boxes import BoxFrame
from qoqdata.errors import UsageError


@dataclass(frozen=True)
class Family:
    """A family by its `model_type`; `frame` is what its boxes are in."""

    model_type: str
    frame: BoxFrame


FAMILIES = {
    family.model_type: family
    for family in (Family("qwen2_5_vl", "pixels"), Family("qwen3_vl", "thousandths"))
}


def family_of(model_type: str, where: str) -> Family:
    """The family of a configuration's `model_type`. Raises UsageError for any other."""
    if model_type not in FAMILIES:
        fix = f"use one of {', '.join(FAMILIES)}"
        raise UsageError(f"{model_type!r} models cannot be trained here", where=where, fix=fix)
    return FAMILIES[model_type]


#: The chat layout of Qwen models (ChatML), for tokenizers that bring none.
CHATML = (
    "{% for message in messages %}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
