"""Evaluation: from a policy's responses to figures with intervals, by class, source and domain."""

from qoqtrain.evaluate.judging import Question, judge, questions_of
from qoqtrain.evaluate.predictions import Prediction, read_predictions
from qoqtrain.evaluate.results import Estimate, Evaluation, QuestionOutcome
from qoqtrain.evaluate.summary import summarise

__all__ = [
    "Estimate",
    "Evaluation",
    "QuestionOutcome",
    "Prediction",
    "Question",
    "judge",
    "questions_of",
    "read_predictions",
    "summarise",
]
