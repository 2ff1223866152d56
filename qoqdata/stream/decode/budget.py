"""How large an image is shown, and how many images of a record are.

The size follows the published rule of the Qwen2-VL family (Wang et al. 2024, arXiv:2409.12191, and
the released image processors), so that the policy's own processor finds nothing left to resize:

1. Both sides are rounded to the nearest multiple of `multiple` (halves to even).
2. If that holds more than `max_pixels`, both sides are divided by sqrt(area / max_pixels) and
   rounded down, to one multiple at least.
3. If it holds fewer than `min_pixels`, both are multiplied by sqrt(min_pixels / area) and rounded
   up.

Images more than 200 times as long as wide are refused, as the processors refuse them. Where the
rule would change its own result (a long image in a small budget), it is applied until it rests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from qoqdata.errors import UnsupportedFormat, UsageError

#: (width, height) in pixels.
Size = tuple[int, int]

_LONGEST = 200
_ROUNDS = 16


@dataclass(frozen=True)
class Budget:
    """What a policy is shown of a record's images. The defaults are those of Qwen2.5-VL.

    min_pixels, max_pixels  area of every shown image
    multiple      sides are multiples of it: patch times merge, 28 for Qwen2.5-VL, 32 for Qwen3-VL
    max_images    images of a record at most; None: all
    total_pixels  area of all images of a record together; None: no bound but `max_pixels` each

    Raises UsageError for numbers that no image can meet.
    """

    min_pixels: int = 56 * 56
    max_pixels: int = 1280 * 28 * 28
    multiple: int = 28
    max_images: int | None = None
    total_pixels: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value < 1:
                raise UsageError(f"{field.name} is {value}, at least 1 is needed", where="budget")
        least = max(self.min_pixels, self.multiple**2)
        for name in ("max_pixels", "total_pixels"):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(
                    f"{name} is {value:,}, the smallest image has {least:,}", where="budget"
                )


def budget_of(
    processor: Any, *, max_images: int | None = None, total_pixels: int | None = None
) -> Budget:
    """The budget of a Qwen-VL image processor, read from its patch, merge and size settings.

    Raises UsageError for a processor without them.
    """
    try:
        size = processor.size
        return Budget(
            int(size["shortest_edge"]),
            int(size["longest_edge"]),
            int(processor.patch_size) * int(processor.merge_size),
            max_images,
            total_pixels,
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise UsageError(
            f"{type(processor).__name__} states no pixel budget",
            fix="give the budget in numbers",
        ) from error


def smart_size(size: Size, *, min_pixels: int, max_pixels: int, multiple: int) -> Size:
    """The size that an image of `size` is shown at by one application of the rule above.

    Raises UnsupportedFormat for an image more than 200 times as long as wide.
    """
    if max(size) > _LONGEST * min(size):
        raise UnsupportedFormat(
            f"image of {size[0]} x {size[1]} is more than {_LONGEST} times as long as wide",
            fix="crop it; the policy's image processor refuses it too",
        )
    width, height = (round(side / multiple) * multiple for side in size)
    if width * height > max_pixels:
        return _shrunk(size, max_pixels, multiple)
    if width * height < min_pixels:
        return _grown(size, min_pixels, multiple)
    return width, height


def shown_sizes(sizes: Sequence[Size], budget: Budget) -> list[tuple[int, Size]]:
    """Which stored images are shown, by index, and at what size (width, height).

    At most `max_images` are chosen: evenly over the record with its first and last image, the
    middle one where only one may be shown. With `total_pixels` every image shrinks to an equal
    share; only where shares would fall below `min_pixels` are fewer images chosen, the most whose
    shown areas fit. So views are not dropped before slices are small.

    Raises UnsupportedFormat for an image that the policy cannot be shown, UsageError for a budget
    whose bounds are too close to each other for the shape of an image.
    """
    return list(_shown_sizes(tuple(sizes), budget))


@lru_cache(maxsize=4096)
def _shown_sizes(sizes: tuple[Size, ...], budget: Budget) -> tuple[tuple[int, Size], ...]:
    if not sizes:
        return ()
    count = min(len(sizes), budget.max_images or len(sizes))
    total = budget.total_pixels
    if total is None:
        return _at_share(sizes, count, budget, budget.max_pixels)
    least = max(budget.min_pixels, budget.multiple**2)
    for fewer in range(min(count, total // least), 0, -1):
        share = min(budget.max_pixels, max(total // fewer, least))
        plan = _at_share(sizes, fewer, budget, share)
        if sum(width * height for _, (width, height) in plan) <= total:
            return plan
    raise _too_tight(sizes[0], budget)


def _at_share(
    sizes: tuple[Size, ...], count: int, budget: Budget, share: int
) -> tuple[tuple[int, Size], ...]:
    return tuple((i, _settled(sizes[i], budget, share)) for i in evenly(len(sizes), count))


def evenly(length: int, count: int) -> list[int]:
    """`count` indices below `length`, evenly spaced with the first and last; one: the middle."""
    if count == 1:
        return [length // 2]
    gaps = count - 1
    return [(2 * i * (length - 1) + gaps) // (2 * gaps) for i in range(count)]


@lru_cache(maxsize=65536)
def _settled(size: Size, budget: Budget, share: int) -> Size:
    """The size of at most about `share` pixels that the policy's processor leaves alone."""
    low, high, multiple = budget.min_pixels, budget.max_pixels, budget.multiple
    fit = smart_size(size, min_pixels=low, max_pixels=share, multiple=multiple)
    if fit[0] * fit[1] < low:
        fit = _grown(size, low, multiple)
    for _ in range(_ROUNDS):
        again = smart_size(fit, min_pixels=low, max_pixels=high, multiple=multiple)
        if again == fit:
            return fit
        fit = again
    raise _too_tight(size, budget)


def _too_tight(size: Size, budget: Budget) -> UsageError:
    return UsageError(
        f"no size in steps of {budget.multiple} pixels fits an image of {size[0]} x {size[1]}",
        where=str(budget),
        fix="lower min_pixels, or raise max_pixels or total_pixels",
    )


def _shrunk(size: Size, pixels: int, multiple: int) -> Size:
    by = math.sqrt(size[0] * size[1] / pixels)
    width, height = (max(multiple, math.floor(side / by / multiple) * multiple) for side in size)
    return width, height


def _grown(size: Size, pixels: int, multiple: int) -> Size:
    by = math.sqrt(pixels / (size[0] * size[1]))
    width, height = (math.ceil(side * by / multiple) * multiple for side in size)
    return width, height
