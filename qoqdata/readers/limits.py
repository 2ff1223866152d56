"""How large a declared size may be before a reader refuses it, ahead of any allocation, and what
a build gives to a unit and to a plan before it stops them.

The defaults let every clinical file that we know through and stop headers that promise the
impossible. Raise them per build (`limits:` in build.yaml) or per call.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from math import prod

from qoqdata.errors import TooLarge


@dataclass(frozen=True)
class Limits:
    """Upper bounds: file bytes, pixels an image, frames, voxels, ECG samples, inflated bytes.

    Of a build: seconds and bytes of memory to convert a unit in (None: half of the machine's
    memory), and seconds to plan a source in.
    """

    file_bytes: int = 16 * 2**30
    image_pixels: int = 400_000_000
    frames: int = 20_000
    voxels: int = 2_000_000_000
    ecg_samples: int = 200_000_000
    inflated_bytes: int = 4 * 2**30
    unit_seconds: int = 600
    unit_bytes: int | None = None
    plan_seconds: int = 24 * 3600

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value < 1:
                raise ValueError(f"{field.name} must be at least 1")

    def of_content(self) -> dict[str, int]:
        """Those that decide what is in a record: how long it may take to make does not."""
        return {name: value for name, value in asdict(self).items() if name not in _OF_THE_RUN}

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


_OF_THE_RUN = frozenset({"unit_seconds", "unit_bytes", "plan_seconds"})

DEFAULT_LIMITS = Limits()
