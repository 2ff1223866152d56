"""What a record's response is held against, in the frame that the policy saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qoqtrain.model.processor import Processor
from qoqtrain.rewards import Truth, truth_of_record


def truth_seen(
    record: Mapping[str, Any],
    processor: Processor,
    sizes: Sequence[tuple[int, int]],
    *,
    single: bool = False,
) -> Truth:
    """The truth of a record whose images are handed to `processor` in `sizes` (width, height);
    `single` where exactly one label is asked for.

    Regions stay in the pixels that `image_info` counts; the policy's corners are mapped to them:
    absolute pixels after the smart resize for Qwen2.5-VL, thousandths for Qwen3-VL. A record that
    shows no image has no regions to find. Raises as `qoqtrain.rewards.truth_of_record`.
    """
    if not sizes:
        return truth_of_record({**record, "regions": None, "image_info": None}, single=single)
    seen = [processor.seen_size(*size) for size in sizes]
    frame = processor.family.frame
    return truth_of_record(record, single=single, seen_sizes=seen, frame=frame)
