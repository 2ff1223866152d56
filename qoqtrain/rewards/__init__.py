"""Rewards: pure functions of responses and truths, part by part."""

from qoqtrain.rewards.part import Part
from qoqtrain.rewards.scheme import PARTS, PRESETS, Scheme
from qoqtrain.rewards.score import score
from qoqtrain.rewards.tally import columns, difficulty, tally
from qoqtrain.rewards.truth import TrueRegion, Truth, truth_of, truth_of_record

__all__ = [
    "PARTS",
    "PRESETS",
    "Part",
    "Scheme",
    "TrueRegion",
    "Truth",
    "columns",
    "difficulty",
    "score",
    "tally",
    "truth_of",
    "truth_of_record",
]
