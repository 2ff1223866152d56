"""Reference vectors and response builders of the reward tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def vectors() -> dict[str, dict[str, Any]]:
    """Cases by name: inputs and outputs of the functions that the authors published."""
    path = Path(__file__).parents[1] / "vectors" / "rewards.json"
    cases = json.loads(path.read_text())["cases"]
    return {case["id"].split("_", 1)[1]: case for case in cases}


@pytest.fixture(scope="session")
def truth_of_case() -> Callable[..., dict[str, Any]]:
    """A case as a truth of ours; masks keep their pixels, boxes their edges."""

    def build(case: dict[str, Any], **extra: Any) -> dict[str, Any]:
        truth: dict[str, Any] = {"answer": case["ground_truth"], **extra}
        if drawn := case["mask"]:
            mask = np.zeros(drawn["shape"][-2:], np.uint8)
            for top, bottom, left, right in drawn["rects"]:
                mask[top:bottom, left:right] = drawn["value"]
            truth["masks"] = [mask]
        if case["gt_bbox"]:
            edges = dict(zip(("x_min", "y_min", "x_max", "y_max"), case["gt_bbox"], strict=True))
            truth["regions"] = [{"label": "lesion", "image": 0, **edges}]
        return truth

    return build
