"""What became of each question of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import BadTable
from qoqtrain.evaluate.benchmarks.judged import refuse_unread
from qoqtrain.evaluate.benchmarks.readings import Item, Reading
from qoqtrain.evaluate.benchmarks.table import Benchmark
from qoqtrain.evaluate.predictions import Prediction, Scores


@dataclass(frozen=True)
class Verdict:
    """One question, the raw response, what was read from it, and the score, kept apart.

    `status` "ok", "missing" (no response) or "unparsable"; the last two are wrong. `scores` one an
    option, for benchmarks that rank.
    """

    item: Item
    response: str | None
    reading: Reading
    status: str
    scores: tuple[float, ...] | None = None

    def as_row(self) -> dict[str, Any]:
        """The verdict as plain values."""
        return {
            **asdict(self.item),
            "response": self.response,
            "status": self.status,
            **self.reading._asdict(),
            "scores": self.scores,
        }


def judge_items(
    items: Sequence[Item], predictions: Mapping[str, Prediction], benchmark: Benchmark
) -> list[Verdict]:
    """One verdict a question, in their order; a question without prediction is missing.

    Raises BadTable for scores that do not match the labels, and for a judge's reply that cannot be
    read; no other response raises.
    """
    return [_verdict(item, predictions.get(item.id), benchmark) for item in items]


def _verdict(item: Item, prediction: Prediction | None, benchmark: Benchmark) -> Verdict:
    response = None if prediction is None else prediction.response
    scores = None if prediction is None else _aligned(prediction.scores, item)
    if benchmark.rule is None:
        status = "ok" if scores is not None else "missing" if response is None else "unparsable"
        return Verdict(item, response, Reading(None, False), status, scores)
    reading = benchmark.rule(response or "", item)
    if benchmark.judged and response is not None:
        refuse_unread(item, reading)
    if response is None:
        return Verdict(item, None, reading._replace(given=None, correct=False), "missing", scores)
    return Verdict(item, response, reading, "unparsable" if reading.given is None else "ok", scores)


def _aligned(scores: Scores | None, item: Item) -> tuple[float, ...] | None:
    if scores is None or not item.options:
        return None
    where = f"scores of {item.id}"
    if isinstance(scores, Mapping):
        if astray := sorted(scores.keys() ^ set(item.options)):
            raise BadTable(f"{astray[0]!r} is not both a label and scored", where=where)
        return tuple(scores[option] for option in item.options)
    if len(scores) != len(item.options):
        raise BadTable(f"{len(scores)} scores for {len(item.options)} labels", where=where)
    return scores


def membership(verdicts: Sequence[Verdict]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n, K) right classes, and those answered; K option letters for choices, else the options."""
    classes = _classes(verdicts)
    right = np.array([[c in v.item.right for c in classes] for v in verdicts], dtype=bool)
    answers = np.array([[c in (v.reading.given or ()) for c in classes] for v in verdicts], bool)
    return right, answers


def _classes(verdicts: Sequence[Verdict]) -> tuple[str, ...]:
    names = {name for v in verdicts for name in (*v.item.right, *(v.reading.given or ()))}
    return tuple(sorted(names))
