"""The arms: what weighs the rollouts, and who draws the questions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal

from qoqtrain import DRPO
from qoqtrain.drpo.priors import Statistics


@dataclass(frozen=True)
class Arm:
    """One way to train. `preset` of DRPO with `settings` changed; `statistics` whether it starts
    from the tables of the data set; `sampler` "proportional", every record once an epoch,
    "balanced", every domain as often, or "target", the mix of `qoqtrain train`; `skip_tied` leaves
    groups without an advantage out of the loss; a step draws up to `draws` batches until enough
    groups differ, and the run ends after as many questions "asked" as any, or "updated" on as
    `default`."""

    title: str
    preset: str
    settings: dict[str, Any] = field(default_factory=dict)
    statistics: bool = False
    sampler: Literal["proportional", "balanced", "target"] = "proportional"
    skip_tied: bool = False
    draws: int = 1
    until: Literal["asked", "updated"] = "asked"

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

#: What was the default of `qoqtrain train` when the headline was planned, each of its parts left
#: out, and GRPO. Without its filter it is the default since: the filter did not pay.
CORE = {
    "default": Arm(
        "default as planned", "budget", statistics=True, sampler="target", skip_tied=True
    ),
    "no_sampler": Arm("without its sampler", "budget", statistics=True, skip_tied=True),
    "no_weights": Arm("without its weights", "grpo", sampler="target", skip_tied=True),
    "no_filter": Arm(
        "without its filter, the default now", "budget", statistics=True, sampler="target"
    ),
    "grpo_core": Arm("GRPO", "grpo"),
    "grpo_even": Arm("GRPO, balanced sampling", "grpo", sampler="balanced"),
}

#: Sampler x weights x filter, by cell; a cell that the core has is the core's arm.
SAMPLERS = {"proportional": "proportional", "balanced": "domains alike", "target": "target"}
WEIGHTS = {
    "none": ("grpo", False),
    "budget": ("budget", True),
    "streaming": ("streaming", True),
    "paper": ("paper", False),
}
CELLS = {
    (sampler, weights, skip_tied): Arm(
        f"{SAMPLERS[sampler]}, {weights}{', filter' if skip_tied else ''}",
        WEIGHTS[weights][0],
        statistics=WEIGHTS[weights][1],
        sampler=sampler,  # type: ignore[arg-type]
        skip_tied=skip_tied,
    )
    for sampler, weights, skip_tied in product(SAMPLERS, WEIGHTS, (False, True))
}


def _name(cell: tuple[str, str, bool]) -> str:
    for name, arm in CORE.items():
        if replace(arm, title="") == replace(CELLS[cell], title=""):
            return name
    sampler, weights, skip_tied = cell
    return f"{sampler}_{weights}" + ("_filter" if skip_tied else "")


FACTORIAL = {cell: _name(cell) for cell in CELLS}

#: Beside the factorial: what others published, on the data's own draws, and dynamic draws.
PUBLISHED = {
    "authors_core": Arm("DRPO, published code", "authors_mirl"),
    "disco_core": Arm("DISCO", "disco", statistics=True),
    "medgrpo_core": Arm("MedGRPO's normalisation", "medgrpo", statistics=True),
}
DYNAMIC = {
    "dynamic_asked": replace(CORE["default"], title="dynamic draws, as many asked", draws=4),
    "dynamic_updated": replace(
        CORE["default"], title="dynamic draws, as many updated on", draws=4, until="updated"
    ),
}

#: Not planned, added after a look at the core: `budget` divides advantages by the batch's std, the
#: preset `grpo` does not, so the entropy bonus weighs more in arms without weights.
SCALED = {
    "grpo_scaled": Arm("GRPO, over the batch's std", "grpo", {"batch_norm": "std"}),
    "grpo_even_scaled": replace(
        CORE["grpo_even"],
        title="GRPO, balanced sampling, over the batch's std",
        settings={"batch_norm": "std"},
    ),
    "target_scaled": replace(
        CORE["no_filter"],
        title="without weights and filter, over the batch's std",
        settings={"alpha": 0.0},
    ),
}

EXTRA = {
    **{name: CELLS[cell] for cell, name in FACTORIAL.items() if name not in CORE},
    **PUBLISHED,
    **DYNAMIC,
    **SCALED,
}
ARMS = MAIN | ABLATIONS | CORE | EXTRA
