"""Rewards: pure functions of responses and truths, part by part."""

from .part import Part
from .scheme import PARTS, PRESETS, Scheme
from .score import score
from .tally import columns, difficulty, tally
from .truth import TrueRegion, Truth, truth_of, truth_of_record

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
