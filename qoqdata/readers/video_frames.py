"""Which frames of a clip to take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qoqdata.errors import InputError


@dataclass(frozen=True)
class FramePolicy:
    """kind "uniform": `count` frames spread evenly; "all"; "every": each `step`-th from the first;
    "index": the frames `indices`, counted from 0. Raises ValueError for an impossible policy."""

    kind: Literal["uniform", "all", "every", "index"]
    count: int = 0
    step: int = 1
    indices: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("uniform", "all", "every", "index"):
            raise ValueError(f"unknown kind of frame policy: {self.kind}")
        if self.kind == "uniform" and self.count < 1:
            raise ValueError("a uniform frame policy needs a count of at least 1")
        if self.kind == "every" and self.step < 1:
            raise ValueError("the step of a frame policy must be at least 1")
        if self.kind == "index" and (not self.indices or min(self.indices) < 0):
            raise ValueError("an index frame policy needs indices of 0 or more")


def choose(policy: FramePolicy, n: int) -> tuple[int, ...]:
    """Indices of the frames to take from a clip of `n` frames, ascending, without repeats.

    "uniform" cuts the clip into `count` equal parts and takes the frame at the centre of each, so
    the ends are never favoured; a clip with fewer frames than `count` gives each frame once.
    Raises InputError for an index beyond the clip, ValueError for a negative n.
    """
    if n < 0:
        raise ValueError(f"a clip cannot have {n} frames")
    if policy.kind == "uniform":
        count = min(policy.count, n)
        return tuple((2 * part + 1) * n // (2 * count) for part in range(count))
    if policy.kind == "index":
        indices = tuple(sorted(set(policy.indices)))
        if indices[-1] >= n:
            raise InputError(f"frame {indices[-1]} is asked for, the clip has {n} frames")
        return indices
    return tuple(range(0, n, policy.step if policy.kind == "every" else 1))


def describe(policy: FramePolicy) -> str:
    """The policy in words, for provenance."""
    return {
        "uniform": f"centres of {policy.count} equal parts",
        "all": "all frames",
        "every": f"every {policy.step}. frame from the first",
        "index": f"frames {', '.join(map(str, policy.indices))}",
    }[policy.kind]
