"""What a policy should have said: the response that supervised training teaches."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qoqtrain.rewards import Truth
from qoqtrain.rewards.truth import TrueRegion

if TYPE_CHECKING:
    from qoqtrain.data.row import Row
    from qoqtrain.model.processor import Processor


def target_text(facts: Mapping[str, Any], truth: Truth, *, images: int) -> str:
    """The response to a record: its reasoning where it has one, its boxes where they are asked
    for, and the boxed answer.

    Boxes are in the frame that the policy saw, rounded to whole numbers; regions without area are
    no boxes. Nothing is made up: a record without reasoning teaches none.
    """
    lines = []
    if reasoning := facts.get("reasoning"):
        lines.append(f"<think>{reasoning}</think>")
    if images and truth.regions is not None:
        boxes = [_box(region, truth, images) for region in truth.regions if not region.is_blank]
        lines.append(f"```json\n{json.dumps(boxes, ensure_ascii=False)}\n```")
    lines.append(f"\\boxed{{{facts['answer']}}}")
    return "\n".join(lines)


def target_tokens(row: Row, processor: Processor) -> tuple[int, ...]:
    """The tokens of the target, its end token included.

    Letters of a special token in a record's text are encoded as ordinary letters.
    """
    images = 0 if row.grid is None else len(row.grid)
    encoder = copy.copy(processor.tokenizer.backend_tokenizer)
    encoder.encode_special_tokens = True
    text = target_text(row.facts, row.truth, images=images)
    ids = encoder.encode(text, add_special_tokens=False).ids
    return (*ids, processor.eos_token_id)


def _box(region: TrueRegion, truth: Truth, images: int) -> dict[str, Any]:
    stored = truth.size(region.image)
    across, down = 1.0, 1.0
    if stored is not None and truth.frame == "thousandths":
        across, down = 1000.0 / stored[0], 1000.0 / stored[1]
    elif stored is not None and truth.seen_sizes is not None:
        seen = truth.seen_sizes[region.image]
        across, down = seen[0] / stored[0], seen[1] / stored[1]
    x_min, y_min, x_max, y_max = region.corners
    corners = [x_min * across, y_min * down, x_max * across, y_max * down]
    place = {"image": region.image} if images > 1 else {}
    return {**place, "bbox_2d": [round(corner) for corner in corners], "label": region.label}
