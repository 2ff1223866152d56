"""DRPO: domain-aware relative policy optimisation, from rewards to advantages."""

from qoqtrain.drpo.estimator import DRPO, Step
from qoqtrain.drpo.priors import DomainPrior, Priors
from qoqtrain.drpo.settings import PRESETS, DRPOSettings
from qoqtrain.drpo.starting_weights import WeightRow

__all__ = ["DRPO", "PRESETS", "DomainPrior", "Priors", "DRPOSettings", "Step", "WeightRow"]
