"""How large a declared size may be before a reader refuses it, ahead of any allocation.

The defaults let every clinical file that we know through and stop headers that promise the
impossible. Raise them per build (`limits:` in build.yaml) or per call.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod

from qoqdata.errors import TooLarge


@dataclass(frozen=True)
class Limits:
    """Upper bounds: file bytes, pixels an image, frames, voxels, ECG samples, inflated bytes."""

    file_bytes: int = 16 * 2**30
    image_pixels: int = 400_000_000
    frames: int = 20_000
    voxels: int = 2_000_000_000
    ecg_samples: int = 200_000_000
    inflated_bytes: int = 4 * 2**30

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name} must be at least 1")

    def check(self, name: str, value: int, *, where: str) -> None:
        """Raise TooLarge when `value` exceeds the bound called `name`."""
        bound = getattr(self, name)
        if value > bound:
            raise TooLarge(
                f"declares {value:,} {name.replace('_', ' ')}, the limit is {bound:,}",
                where=where,
                fix=f"if the file is sound, raise limits.{name}",
            )

    def check_shape(self, name: str, shape: tuple[int, ...], *, where: str) -> None:
        """As `check`, for the product of a declared shape; negative or zero sizes are refused."""
        if any(side <= 0 for side in shape):
            raise TooLarge(f"declares an impossible shape {shape}", where=where)
        self.check(name, prod(shape), where=where)


DEFAULT_LIMITS = Limits()
