"""Rewards: pure functions of responses and truths, part by part."""

from qoqtrain.rewards.scheme import PARTS, PRESETS, Part, Scheme
from qoqtrain.rewards.score import claims, columns, score, success, tally
from qoqtrain.rewards.truth import (
    MaskPlace,
    TrueNumber,
    TrueRegion,
    Truth,
)
from qoqtrain.rewards.truth_reading import truth_of, truth_of_record

__all__ = [
    "PARTS",
    "PRESETS",
    "MaskPlace",
    "Part",
    "Scheme",
    "TrueNumber",
    "TrueRegion",
    "Truth",
    "claims",
    "columns",
    "score",
    "success",
    "tally",
    "truth_of",
    "truth_of_record",
]
