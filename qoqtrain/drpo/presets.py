"""Named sets of settings: what the paper says, what its code does, and what training should use."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from qoqdata.errors import UsageError
from qoqtrain.drpo.settings import DRPOSettings

_AUTHORS = DRPOSettings(
    reward_range=None,
    feature="raw",
    history="all",
    kmeans="sklearn0",
    rarity="seen",
    strength=0.0,
    floor="none",
    weight_clip=None,
    ess_floor=None,
)
_STREAMING = DRPOSettings()
_PAPER = replace(
    _AUTHORS,
    reward_range=(0.0, 1.0),
    feature="sorted",
    history="batch",
    kmeans="global",
    mu_domain="mean",
    floor="eps",
    kl_damping="question_pos",
)
_UNWEIGHTED = replace(_STREAMING, alpha=0.0, weight_clip=None, ess_floor=None, batch_norm="none")

PRESETS: dict[str, DRPOSettings] = {
    # What the paper says, on the batch alone.
    "paper": _PAPER,
    # The default: means in bins, priors from the statistics of the data, bounded weights.
    "streaming": _STREAMING,
    # What the published code does, its faults included: a reference for tests, not for training.
    "authors_qoq_med": _AUTHORS,
    "authors_mirl": replace(_AUTHORS, k_max=3, floor="guarded"),
    # Baselines without domain weights, on the same path and with the same report.
    "grpo": _UNWEIGHTED,
    "dr_grpo": replace(_UNWEIGHTED, group="dr_grpo"),
    "rloo": replace(_UNWEIGHTED, group="rloo"),
    "gdpo": replace(_UNWEIGHTED, group="gdpo", batch_norm="std"),
}


def settings_of(preset: str, **changes: Any) -> DRPOSettings:
    """The named preset with `changes` to its fields.

    `bounds` stands for both bounds at once: None switches them off (the published weighting), a
    pair is (weight_clip, ess_floor). Raises UsageError for an unknown preset, field or value.
    """
    if preset not in PRESETS:
        raise UsageError(
            f"there is no DRPO preset {preset!r}", fix=f"choose one of {', '.join(PRESETS)}"
        )
    if "bounds" in changes:
        bounds = changes.pop("bounds")
        try:
            changes["weight_clip"], changes["ess_floor"] = (
                (None, None) if bounds is None else bounds
            )
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"bounds={bounds!r} is not a pair", fix="pass (weight_clip, ess_floor) or None"
            ) from error
    known = {field.name for field in fields(DRPOSettings)}
    if unknown := sorted(changes.keys() - known):
        raise UsageError(
            f"unknown DRPO settings: {', '.join(unknown)}",
            fix=f"the settings are bounds, {', '.join(sorted(known))}",
        )
    return replace(PRESETS[preset], **changes)
