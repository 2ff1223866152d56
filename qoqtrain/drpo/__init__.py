"""DRPO: domain-aware relative policy optimisation, from rewards to advantages."""

from qoqtrain.drpo.estimator import DRPO, Step
from qoqtrain.drpo.priors import DomainPrior, Priors
from qoqtrain.drpo.settings import DEFAULT_PRESET, PRESETS, DRPOSettings
from qoqtrain.drpo.starting_weights import WeightRow

__all__ = [
    "DEFAULT_PRESET",
    "DRPO",
    "PRESETS",
    "DRPOSettings",
    "DomainPrior",
    "Priors",
    "Step",
    "WeightRow",
]
