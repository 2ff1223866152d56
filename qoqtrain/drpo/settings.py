"""Every choice that the estimator makes, as data, and the named sets of choices.

The letters are those of QoQ-Med (arXiv 2506.00711, section 3): N_d questions of a domain, mu_d its
success rate (its mean reward), T_d = max(sqrt(N_d) mu_d, eps) its temperature, T_c the same for a
difficulty cluster.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from qoqdata.errors import UsageError

Group = Literal["grpo", "dr_grpo", "rloo", "gdpo"]
Feature = Literal["raw", "sorted", "mean"]
History = Literal["batch", "all", "decay"]
KMeans = Literal["sklearn0", "global", "exact1d", "binned"]
MuDomain = Literal["inverse_cluster", "mean"]
Rarity = Literal["seen", "prior", "draws"]
Floor = Literal["none", "guarded", "eps"]
KLDamping = Literal["none", "rollout_abs", "question_pos"]
BatchNorm = Literal["std", "none"]
Normalise = Literal["none", "logistic"]
Weighting = Literal["temperatures", "disco"]


@dataclass(frozen=True)
class DRPOSettings:
    """Settings of one estimator; invalid values and combinations raise UsageError.

    Rewards
      reward_range     (lo, hi) that every reward lies in; success rates are means of the rewards
                       mapped from it to [0, 1]. None takes any reward, as the published code does
      part_weights     weight of each part when rewards have several columns; None is 1 each
      group            within a question: "grpo" (r - mean) / std, "dr_grpo" r - mean, "rloo"
                       r - mean of the others, "gdpo" the grpo score of each part, then the sum
      std_floor        smallest std that "grpo" and "gdpo" divide by, as a share of the reward's
                       range: groups that differ by crumbs are not stretched to unit variance; 0
                       as published
      normalise        "logistic" maps rewards by the quartiles of their domain before groups are
                       compared, as MedGRPO does (`published_scaling`)
    Clusters
      feature          clustered per question: "raw" rewards in order of arrival, "sorted" rewards,
                       or their "mean"
      history          "batch" only, "all" questions ever, or "decay": all, halved in weight every
                       `half_life_questions` questions of the domain (None: never)
      kmeans           "sklearn0" as published, "global" (any feature, no seed), "exact1d" (means),
                       "binned" (means in `bins` equal bins of [0, 1], memory and time constant)
      k_max, elbow_tolerance   see `clustering.clusters.elbow`
    Weights
      weighting        "temperatures", or the factors of "disco" (`published_scaling`)
      mu_domain        mu_d from the success rates mu_c of the clusters: "inverse_cluster" (weights
                       1 / N_c) or "mean" (plain mean)
      rarity           N_d is the number of questions "seen", of studies in the data ("prior"), or
                       of "draws" under the sampler for each part of the target (`priors.drawn`)
      strength         questions that the difficulty prior of a domain counts for; 0 is no prior
      floor            T_c below eps is raised to "eps"; "none" lets it be 0 or negative, "guarded"
                       leaves scores unscaled where that is not finite
      alpha            exponent on 1 / (T_d T_c); 0 switches the weighting off
      weight_clip      c: weights stay within a factor c of the batch median; None is unbounded
      ess_floor        effective sample size, as a share of the rollouts, that alpha is lowered for
      kl_damping       "rollout_abs" or "question_pos" (see `advantage`), at `kl_quantile`
      batch_norm       divide the batch by its "std", or "none"
      eps              the small constant of every denominator and floor
      strict_domains   a domain without a count is an error, not a line in the report
    """

    reward_range: tuple[float, float] | None = (0.0, 1.0)
    part_weights: tuple[float, ...] | None = None
    group: Group = "grpo"
    std_floor: float = 0.1
    normalise: Normalise = "none"
    feature: Feature = "mean"
    history: History = "decay"
    half_life_questions: float | None = None
    kmeans: KMeans = "binned"
    bins: int = 128
    k_max: int = 10
    elbow_tolerance: float = 0.10
    weighting: Weighting = "temperatures"
    mu_domain: MuDomain = "mean"
    rarity: Rarity = "draws"
    strength: float = 24.0
    floor: Floor = "eps"
    alpha: float = 1.0
    weight_clip: float | None = 10.0
    ess_floor: float | None = 0.1
    kl_damping: KLDamping = "none"
    kl_quantile: float = 0.75
    batch_norm: BatchNorm = "std"
    eps: float = 1e-6
    strict_domains: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, _canonical(field, getattr(self, field.name)))
        _check_choices(self)
        _check_numbers(self)
        _check_combinations(self)


def _canonical(field: Field[Any], value: Any) -> Any:
    """Lists as tuples and whole numbers as floats where floats belong: equal choices are equal."""
    if isinstance(value, list | tuple):
        return tuple(_canonical(field, part) for part in value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and "float" in str(field.type) else value


def _refuse(name: str, value: object, fix: str) -> UsageError:
    return UsageError(f"{name}={value!r} is not a valid DRPO setting", where=name, fix=fix)


def _check_choices(settings: DRPOSettings) -> None:
    hints = get_type_hints(DRPOSettings)
    for field in fields(DRPOSettings):
        if getattr(hints[field.name], "__origin__", None) is Literal:
            value, choices = getattr(settings, field.name), get_args(hints[field.name])
            if value not in choices:
                raise _refuse(field.name, value, f"choose one of {', '.join(choices)}")


def _check_numbers(settings: DRPOSettings) -> None:
    def require(name: str, test: bool, fix: str) -> None:
        if not test:
            raise _refuse(name, getattr(settings, name), fix)

    for field in fields(DRPOSettings):
        value = getattr(settings, field.name)
        parts = value if isinstance(value, tuple) else (value,)
        kind = str(field.type)
        if "float" in kind and not all(
            part is None or (isinstance(part, float) and abs(part) < float("inf")) for part in parts
        ):
            raise _refuse(field.name, value, "pass a finite number")
        if kind.startswith("tuple") and not isinstance(value, tuple | None):
            raise _refuse(field.name, value, "pass a list of numbers")
        if kind == "bool" and not isinstance(value, bool):
            raise _refuse(field.name, value, "pass true or false")
        if kind == "int" and (not isinstance(value, int) or isinstance(value, bool)):
            raise _refuse(field.name, value, "pass a whole number")
    span, s = settings.reward_range, settings
    require("reward_range", span is None or (len(span) == 2 and span[0] < span[1]), "lo < hi")
    require("part_weights", s.part_weights != (), "one weight for each part, or None")
    require("std_floor", s.std_floor >= 0, "0 or more")
    require(
        "half_life_questions", s.half_life_questions is None or s.half_life_questions > 0, "> 0"
    )
    require(
        "bins",
        16 <= s.bins <= 4096 and s.bins & (s.bins - 1) == 0,
        "a power of two from 16 to 4096, which keeps the sums exact",
    )
    require("k_max", s.k_max >= 1, "1 or more")
    require("elbow_tolerance", 0 <= s.elbow_tolerance < 1, "0 to below 1")
    require("strength", s.strength >= 0, "0 or more questions")
    require("alpha", 0 <= s.alpha <= 2, "0 to 2")
    require("weight_clip", s.weight_clip is None or s.weight_clip >= 1, "1 or more, or None")
    require("ess_floor", s.ess_floor is None or 0 < s.ess_floor < 1, "between 0 and 1, or None")
    require("kl_quantile", 0 <= s.kl_quantile <= 1, "0 to 1")
    require("eps", 0 < s.eps < 1e-2, "a small positive number")


def _check_combinations(s: DRPOSettings) -> None:
    if s.kmeans in ("exact1d", "binned") and s.feature != "mean":
        raise _refuse("feature", s.feature, f"kmeans={s.kmeans!r} clusters feature='mean'")
    if s.kmeans == "binned" and s.history == "batch":
        raise _refuse("kmeans", s.kmeans, "history='batch' is small: use kmeans='exact1d'")
    if s.kmeans != "binned" and s.history == "decay":
        raise _refuse("history", s.history, "only kmeans='binned' can forget; use history='all'")
    if s.half_life_questions is not None and s.history != "decay":
        raise _refuse("half_life_questions", s.half_life_questions, "needs history='decay'")
    if s.kmeans == "binned" and s.reward_range is None:
        raise _refuse("reward_range", None, "bins need the range of the rewards, as (lo, hi)")
    if s.strength and s.kmeans in ("sklearn0", "global"):
        raise _refuse("strength", s.strength, "a difficulty prior needs kmeans binned or exact1d")
    if s.strength and s.history == "batch":
        raise _refuse("strength", s.strength, "a prior has nothing to meet with history='batch'")
    if s.normalise != "none" and (s.reward_range != (0.0, 1.0) or s.group == "gdpo"):
        raise _refuse("normalise", s.normalise, "needs reward_range (0, 1) and one reward")
    bounded = s.weight_clip is not None or s.ess_floor is not None
    if s.weighting == "disco" and (bounded or s.alpha != 1):
        raise _refuse("weighting", s.weighting, "has no bounds and no alpha")
    if s.floor != "eps" and (bounded or s.alpha != 1):
        raise _refuse("floor", s.floor, "bounds and alpha need floor='eps'")


_AUTHORS = DRPOSettings(
    reward_range=None,
    std_floor=0.0,
    feature="raw",
    history="all",
    kmeans="sklearn0",
    mu_domain="inverse_cluster",
    rarity="seen",
    strength=0.0,
    floor="none",
    weight_clip=None,
    ess_floor=None,
)
_BUDGET = DRPOSettings()
_STREAMING = replace(_BUDGET, mu_domain="inverse_cluster", rarity="prior")
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
_UNWEIGHTED = replace(
    _STREAMING, std_floor=0.0, alpha=0.0, weight_clip=None, ess_floor=None, batch_norm="none"
)

PRESETS: dict[str, DRPOSettings] = {
    # What the paper says, on the batch alone.
    "paper": _PAPER,
    # Means in bins, priors from the statistics of the data, bounded weights, no mix.
    "streaming": _STREAMING,
    # What the published code does, its faults included: a reference for tests, not for training.
    "authors_qoq_med": _AUTHORS,
    "authors_mirl": replace(_AUTHORS, k_max=3, floor="guarded"),
    # The default: what the sampler leaves of the target, by plain mean success.
    "budget": _BUDGET,
    # Baselines without domain weights, on the same path and with the same report.
    "grpo": _UNWEIGHTED,
    "dr_grpo": replace(_UNWEIGHTED, group="dr_grpo"),
    "rloo": replace(_UNWEIGHTED, group="rloo"),
    "gdpo": replace(_UNWEIGHTED, group="gdpo", batch_norm="std"),
    # Published ways to balance domains, to compare with.
    "disco": replace(_UNWEIGHTED, group="dr_grpo", weighting="disco", alpha=1.0),
    "medgrpo": replace(_UNWEIGHTED, normalise="logistic"),
}


#: What commands, adapters and estimators use that are told no other.
DEFAULT_PRESET = "budget"


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
    names = {field.name for field in fields(DRPOSettings)}
    if unknown := sorted(changes.keys() - names):
        raise UsageError(
            f"unknown DRPO settings: {', '.join(unknown)}",
            fix=f"the settings are bounds, {', '.join(sorted(names))}",
        )
    return replace(PRESETS[preset], **changes)
