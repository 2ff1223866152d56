"""DRPO: domain-aware relative policy optimisation, from rewards to advantages."""

from .estimator import DRPO, Step
from .presets import PRESETS
from .priors import DomainPrior, Priors
from .settings import Settings
from .starting_weights import WeightRow

__all__ = ["DRPO", "PRESETS", "DomainPrior", "Priors", "Settings", "Step", "WeightRow"]
