"""Outcomes for tests, field by field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from qoqtrain.evaluate import QuestionOutcome


@pytest.fixture
def outcome() -> Callable[..., QuestionOutcome]:
    """An outcome of a two-class question, answered rightly, with the fields given."""

    def build(name: str, **changes: Any) -> QuestionOutcome:
        given: dict[str, Any] = {
            "source": "films",
            "domain": "chest_xray",
            "task": "diagnosis",
            "kind": "single",
            "patient": None,
            "sex": None,
            "age": None,
            "options": ("A", "B"),
            "truth": ("A",),
            "labels": ("A",),
            "prediction": "A",
            "status": "ok",
            "reason": None,
            "credit": None,
            "value": None,
            "number": None,
            "unit": None,
            "error": None,
            "iou": None,
            "matched": None,
            "token_f1": None,
            "rouge_l": None,
            "scores": None,
            **changes,
        }
        if "correct" not in changes:
            right = given["status"] == "ok" and given["truth"] == given["labels"]
            given["correct"] = right
        return QuestionOutcome(id=name, **given)

    return build


@pytest.fixture
def singles(outcome: Callable[..., QuestionOutcome]) -> Callable[..., list[QuestionOutcome]]:
    """Single-label outcomes from class indices; an answer of -1 is one that cannot be read."""

    def build(
        truth: Sequence[int], answer: Sequence[int], classes: int, **changes: Any
    ) -> list[QuestionOutcome]:
        options = tuple(f"c{index}" for index in range(classes))
        scores = changes.pop("scores", None)
        return [
            outcome(
                f"{changes.get('source', '')}{number:05d}",
                options=options,
                truth=(options[right],),
                labels=() if given < 0 else (options[given],),
                status="no_answer" if given < 0 else "ok",
                scores=None if scores is None else tuple(map(float, scores[number])),
                **changes,
            )
            for number, (right, given) in enumerate(zip(truth, answer, strict=True))
        ]

    return build


@pytest.fixture
def multis(outcome: Callable[..., QuestionOutcome]) -> Callable[..., list[QuestionOutcome]]:
    """Multi-label outcomes from (n, K) matrices of zeros and ones."""

    def build(truth: np.ndarray, answer: np.ndarray, **changes: Any) -> list[QuestionOutcome]:
        options = tuple(f"c{index}" for index in range(truth.shape[1]))

        def named(row: np.ndarray) -> tuple[str, ...]:
            return tuple(option for option, flag in zip(options, row, strict=True) if flag)

        return [
            outcome(
                f"{number:05d}",
                kind="multi",
                options=options,
                truth=named(right),
                labels=named(given),
                status="ok" if given.any() else "not_an_option",
                **changes,
            )
            for number, (right, given) in enumerate(zip(truth, answer, strict=True))
        ]

    return build
