"""The published reward of QoQ-Med, faults included: a reference for comparison, not for training.

What `medical_compute_score` of the repository computes (May 2025), written anew from a description
of its behaviour: last box, one separator, mean IoU over boxes, two fence parsers, characters for
length. mirl has the same parts with other weights. Only bounds on hostile text are added.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.boxes import iou
from qoqtrain.rewards.truth import Truth
from qoqtrain.rewards.truth_reading import truth_of

#: Weights of answer, grounding, format and length.
PUBLISHED: dict[str, tuple[float, float, float, float]] = {
    "authors_qoq_med": (0.5, 0.3, 0.1, 0.1),
    "authors_mirl": (0.6, 0.2, 0.1, 0.1),
}

_FENCE = re.compile(r"```(?:json)?")
_MAX_BLOCK = 131_072


def published_scores(
    responses: Sequence[str], truths: Sequence[Truth | Mapping[str, Any] | str], preset: str
) -> list[dict[str, Any]]:
    """One dict a response: overall and the four parts, all floats, as published.

    The first mask and the first region of a truth count, as there. Raises as `truth_of`.
    """
    scores = []
    for index, (response, value) in enumerate(zip(responses, truths, strict=True)):
        truth = truth_of(value, f"truths[{index}]")
        mask = truth.masks[0] if truth.masks else None
        box = list(truth.regions[0].corners) if truth.regions else None
        parts = {
            "answer": answer_score(response, truth.answer or ""),
            "grounding": iou_score(response, mask, box),
            "format": format_score(response),
            "length": length_score(response),
        }
        overall = sum(w * v for w, v in zip(PUBLISHED[preset], parts.values(), strict=True))
        status = dict.fromkeys(parts, "ok")
        scores.append({"overall": overall, **parts, "status": status, "reason": {}})
    return scores


def answer_score(response: str, truth: str) -> float:
    """F1 of two sets of strings, each cut at the first separator found; case-sensitive."""
    answer = _last_box(response)
    if answer == "None":
        return 0.0
    first, second = _labels(answer), _labels(truth)
    common = len(first & second)
    return 2 * common / (len(first) + len(second)) if common else 0.0


def length_score(response: str) -> float:
    """1 beyond 600 characters, else a thousandth for each."""
    return 1.0 if len(response) > 600 else 0.001 * len(response)


def format_score(response: str) -> float:
    """Grades for fence, tag, syntax, list and complete items; the fence must fill its line."""
    grade = 0.2 * ("```" in response) + 0.1 * ("```json" in response)
    lines = response.split("\n")
    opening = next((i for i, line in enumerate(lines) if line in ("```json", "```")), None)
    block = response if opening is None else "\n".join(lines[opening + 1 :]).split("```")[0]
    value = _load(block, json.loads)
    grade += 0.2 * (value is not None)
    if value is None:
        value = _load(block, _literal)
        grade += 0.1 * (value is not None)
    if not isinstance(value, list):
        return grade
    complete = [
        isinstance(item, dict)
        and "label" in item
        and isinstance(box := item.get("bbox_2d"), list)
        and len(box) == 4
        and all(isinstance(number, int | float) for number in box)
        for item in value
    ]
    return grade + 0.1 + (0.4 * sum(complete) / len(value) if value else 0.0)


def iou_score(response: str, mask: NDArray[Any] | None, truth: Sequence[float] | None) -> float:
    """Mean over the claimed boxes of the IoU with the mask, else with the box."""
    boxes = _boxes(response)
    if not boxes:
        return 0.0
    try:
        if mask is not None and np.any(mask > 0):
            return sum(_mask_iou(box, mask > 0) for box in boxes if len(box) >= 4) / len(boxes)
        # The second box meets a truth that the first one turned into another type.
        if truth is None or len(boxes) > 1 or len(boxes[0]) < 4:
            return 0.0
        x1, y1, x2, y2 = boxes[0][:4]
        return iou((x1, y1, x2, y2), (truth[0], truth[1], truth[2], truth[3]))
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _last_box(response: str) -> str:
    start = response.rfind("\\boxed{")
    depth = 0
    for brace in re.finditer("[{}]", response[start:]) if start >= 0 else ():
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return response[start + 7 : start + brace.start()].strip()
    return "None"


def _labels(text: str) -> set[str]:
    text = text.replace("\\boxed{", "").replace("}", "")
    mark = next((mark for mark in (", ", " and ", " & ", ",", "&") if mark in text), None)
    return {label.strip() for label in text.split(mark)} if mark else {text.strip()}


def _load(text: str, loads: Any) -> Any:
    if len(text) > _MAX_BLOCK:
        return None
    try:
        return loads(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _literal(text: str) -> Any:
    return ast.literal_eval(text.replace("'", '"'))


def _boxes(response: str) -> list[list[Any]]:
    pieces = _FENCE.split(response)
    blocks = [block for block in pieces[1 : len(pieces) - 1 : 2] if block.strip()]
    values = (_load(block, loads) for loads in (json.loads, _literal) for block in blocks)
    value = next((value for value in values if value is not None), None)
    if isinstance(value, dict):
        value = [value] if "bbox_2d" in value else value.get("objects_of_interest")
    items = value if isinstance(value, list) else []
    boxes = [item["bbox_2d"] for item in items if isinstance(item, dict) and "bbox_2d" in item]
    return [box if isinstance(box, list) else [] for box in boxes]


def _mask_iou(box: Sequence[Any], mask: NDArray[np.bool_]) -> float:
    """IoU in whole pixels: corners name the first and last pixel and are moved into the mask."""
    height, width = mask.shape[-2:]
    x1, x2 = sorted(min(max(int(x), 0), width - 1) for x in (box[0], box[2]))
    y1, y2 = sorted(min(max(int(y), 0), height - 1) for y in (box[1], box[3]))
    area = (x2 - x1 + 1) * (y2 - y1 + 1) if x1 < x2 and y1 < y2 else 0
    common = int(mask[..., y1 : y2 + 1, x1 : x2 + 1].sum()) if area else 0
    return common / (area + int(mask.sum()) - common)
