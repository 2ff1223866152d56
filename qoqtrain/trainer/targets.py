"""What a policy should have said: the response that supervised training teaches."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from qoqdata.boxes import from_stored
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
    corners = region.corners
    if (size := truth.size(region.image)) is not None:
        seen_size = truth.seen_sizes[region.image] if truth.seen_sizes else size
        corners = from_stored(corners, stored_size=size, seen_size=seen_size, frame=truth.frame)
    place = {"image": region.image} if images > 1 else {}
    return {**place, "bbox_2d": [round(corner) for corner in corners], "label": region.label}
