"""The arms: what weighs the rollouts, and who draws the questions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from qoqtrain import DRPO
from qoqtrain.drpo.priors import Statistics


@dataclass(frozen=True)
class Arm:
    """One way to train. `preset` of DRPO with `settings` changed; `statistics` whether it starts
    from the tables of the data set; `sampler` "proportional", every record once an epoch,
    "balanced", every domain as often, or "target", the mix of `qoqtrain train`; `skip_tied` leaves
    groups without an advantage out of the loss."""

    title: str
    preset: str
    settings: dict[str, Any] = field(default_factory=dict)
    statistics: bool = False
    sampler: Literal["proportional", "balanced", "target"] = "proportional"
    skip_tied: bool = False

    def estimator(self, statistics: Statistics) -> DRPO:
        """A fresh estimator."""
        if self.statistics:
            return DRPO.from_stats(statistics, "domain", self.preset, **self.settings)
        return DRPO.preset(self.preset, **self.settings)


#: What is compared, each with a learning rate of its own.
MAIN = {
    "grpo": Arm("GRPO", "grpo"),
    "paper": Arm("DRPO, as in the paper", "paper"),
    "code": Arm("DRPO, published code", "authors_mirl"),
    "cold": Arm("DRPO, ours, cold", "streaming"),
    "stats": Arm("DRPO, ours, with statistics", "streaming", statistics=True),
}

#: What explains it, one change each.
ABLATIONS = {
    "grpo_balanced": Arm("GRPO, balanced sampling", "grpo", sampler="balanced"),
    "cold_balanced": Arm("ours, cold, balanced sampling", "streaming", sampler="balanced"),
    "unbounded": Arm("ours, statistics, no bounds", "streaming", {"bounds": None}, statistics=True),
    "clip_only": Arm(
        "ours, statistics, clip 10, no ESS floor",
        "streaming",
        {"bounds": (10.0, None)},
        statistics=True,
    ),
    "one_cluster": Arm(
        "ours, statistics, one cluster a domain", "streaming", {"k_max": 1}, statistics=True
    ),
}

#: The default of `qoqtrain train`, each of its parts left out, and GRPO.
CORE = {
    "default": Arm("default", "budget", statistics=True, sampler="target", skip_tied=True),
    "no_sampler": Arm("without its sampler", "budget", statistics=True, skip_tied=True),
    "no_weights": Arm("without its weights", "grpo", sampler="target", skip_tied=True),
    "no_filter": Arm("without its filter", "budget", statistics=True, sampler="target"),
    "grpo_core": Arm("GRPO", "grpo"),
    "grpo_even": Arm("GRPO, balanced sampling", "grpo", sampler="balanced"),
}

ARMS = MAIN | ABLATIONS | CORE
