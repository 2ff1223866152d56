"""The model families that can be trained, and in which frame they name corners."""

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
        known = ", ".join(FAMILIES)
        raise UsageError(
            f"{model_type!r} models cannot be trained here", where=where, fix=f"use one of {known}"
        )
    return FAMILIES[model_type]
