"""The weights of the screen's logistic model."""

from __future__ import annotations

import random

import numpy as np

from benchmarks.burned_in.lines import Burned, burn
from benchmarks.burned_in.pictures import Picture
from qoqdata.curation.burned_in.screen import measures
from qoqdata.curation.burned_in.strokes import strokes

_TIMES = 6


def fitted(pictures: list[Picture]) -> np.ndarray:
    """Intercept and weights (13,): lines of strokes on text against those on clean images."""
    from sklearn.linear_model import LogisticRegression

    rng = random.Random(7)
    values: list[np.ndarray] = []
    is_text: list[bool] = []
    for picture in pictures:
        clean = list(measures(strokes(picture.pixels))[1])
        values += clean
        is_text += [False] * len(clean)
        for burned in (burn(picture.pixels, rng) for _ in range(_TIMES)):
            if burned is None or not burned.legible:
                continue
            lines = [zip(*measures(strokes(burned.pixels)), strict=True)]
            own = [value for some in lines for box, value in some if _covers(box, burned)]
            values += own
            is_text += [True] * len(own)
    table = np.stack(values)
    mean, deviation = table.mean(axis=0), table.std(axis=0)
    model = LogisticRegression(class_weight="balanced", max_iter=5000)
    model.fit((table - mean) / deviation, is_text)
    slopes = model.coef_[0] / deviation
    return np.array([model.intercept_[0] - slopes @ mean, *slopes])


def _covers(box: tuple[float, ...], burned: Burned) -> bool:
    """Whether a line of strokes lies on the text and spans a third of it."""
    x0, y0, x1, y1 = burned.box
    width, height = min(box[2], x1) - max(box[0], x0), min(box[3], y1) - max(box[1], y0)
    inside = max(width, 0) * max(height, 0)
    return inside > 0.5 * (box[2] - box[0]) * (box[3] - box[1]) and width > 0.35 * (x1 - x0)
