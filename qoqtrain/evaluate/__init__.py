"""Evaluation: from a policy's responses to figures with intervals, by class, source and domain."""

from .judging import judge
from .outcome import Outcome
from .predictions import Prediction, read_predictions
from .questions import Question, questions_of
from .results import Estimate, Evaluation
from .summary import summarise

__all__ = [
    "Estimate",
    "Evaluation",
    "Outcome",
    "Prediction",
    "Question",
    "judge",
    "questions_of",
    "read_predictions",
    "summarise",
]
