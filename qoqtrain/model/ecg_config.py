"""Settings of the ECG branch, as they are stored beside the vision-language model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from qoqdata.errors import UsageError
from qoqdata.readers.ecg.leads import CHEST

#: The place of every lead in the position table: ECG-JEPA's eight, then the derived limb leads.
PLACES = {name: place for place, name in enumerate(("I", "II", *CHEST, "III", "aVR", "aVL", "aVF"))}
EIGHT = ("I", "II", *CHEST)
#: The text of the placeholder. Qwen's embedding has unused rows behind its vocabulary, so that the
#: new token takes the first of them (151665 for Qwen2.5-VL) and no matrix is resized.
TOKEN = "<|ecg_pad|>"


@dataclass(frozen=True)
class EcgConfig:
    """The ECG branch: what it reads and how large it is.

    leads      names of the leads that are read; their order is of no account
    rate       sampling rate in Hz
    patch      samples in a patch
    patches    patches a lead, so a window is `patch * patches` samples (2,500: 10 s at 250 Hz)
    windows    most windows of a recording that are shown, from its start on
    tokens     tokens a window: 1 pools everything (as published for QoQ-Med), k pools k equal
               stretches of time apart; a stretch without a valid patch has no token
    attention  "cross": a patch attends to its lead and its time (ECG-JEPA); "full": to all
    width, depth, heads, mlp_ratio   of the transformer
    """

    leads: tuple[str, ...] = EIGHT
    rate: float = 250.0
    patch: int = 50
    patches: int = 50
    windows: int = 1
    tokens: int = 1
    attention: str = "cross"
    width: int = 768
    depth: int = 12
    heads: int = 16
    mlp_ratio: float = 4.0

    def __post_init__(self) -> None:
        _check(self)

    @property
    def samples(self) -> int:
        """Samples in a window."""
        return self.patch * self.patches

    @property
    def places(self) -> tuple[int, ...]:
        """The place of each lead in the position table."""
        return tuple(PLACES[lead] for lead in self.leads)

    def to_json(self) -> str:
        """The settings as JSON text."""
        return json.dumps(asdict(self), indent=2) + "\n"


def ecg_config(values: Mapping[str, Any], where: str = "ecg") -> EcgConfig:
    """Settings from a mapping. Raises UsageError for unknown names and impossible values."""
    names = {field.name for field in fields(EcgConfig)}
    if unknown := sorted(values.keys() - names):
        raise UsageError(
            f"unknown setting {', '.join(map(repr, unknown))}",
            where=where,
            fix=f"the settings are {', '.join(sorted(names))}",
        )
    leads = {"leads": tuple(values["leads"])} if "leads" in values else {}
    return EcgConfig(**{**values, **leads})


def _check(config: EcgConfig) -> None:
    where = "ecg"
    if unknown := [lead for lead in config.leads if lead not in PLACES]:
        fix = f"choose of {', '.join(PLACES)}"
        raise UsageError(f"no place for lead {unknown[0]!r}", where=where, fix=fix)
    if not config.leads or len(set(config.leads)) != len(config.leads):
        raise UsageError("each lead is named once, and one at least", where=where)
    sizes = ("patch", "patches", "windows", "tokens", "width", "depth", "heads")
    if bad := [name for name in sizes if getattr(config, name) < 1]:
        raise UsageError(f"{bad[0]} is below 1", where=where)
    if config.width % 4 or config.width % config.heads:
        fix = "768 with 16 heads is that of ECG-JEPA"
        raise UsageError("width must divide by 4 and by heads", where=where, fix=fix)
    if config.patches % config.tokens:
        fix = "choose a divisor of patches"
        raise UsageError(f"{config.patches} patches cannot be {config.tokens} tokens", fix=fix)
    if config.attention not in ("cross", "full"):
        raise UsageError(f"attention {config.attention!r}", where=where, fix="cross or full")
    if not config.rate > 0 or not config.mlp_ratio > 0:
        raise UsageError("rate and mlp_ratio are above 0", where=where)
