"""Builders of responses and truths."""

from __future__ import annotations

import json
from typing import Any

from qoqtrain.rewards import score

THINK = "<think>" + "The scan is read region by region and weighed. " * 10 + "</think>"


def respond(answer: str, boxes: Any = None, label: str = "lesion") -> str:
    """A response in the form that the prompt asks for."""
    block = ""
    if boxes is not None:
        items = [{"bbox_2d": box, "label": label} for box in boxes]
        block = f"\n```json\n{json.dumps(items)}\n```"
    return f"{THINK}{block}\n\\boxed{{{answer}}}"


def region(x_min: float, y_min: float, x_max: float, y_max: float, **extra: Any) -> dict[str, Any]:
    box = {"x_min": x_min, "y_min": y_min, "x_max": x_max, "y_max": y_max}
    return {"label": "lesion", "image": 0, **box, **extra}


def one(response: str, truth: Any, preset: str = "qoq_med_code", **changes: Any) -> dict[str, Any]:
    return score([response], [truth], preset, **changes)[0]
