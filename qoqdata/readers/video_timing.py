"""Frame rate and duration of a clip from its time stamps, with what the header claims checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_FASTEST_FPS = 1000.0
_JITTER = 0.1  # share of the usual interval; time stamps in whole milliseconds stay below it
_AGREE = 0.02  # share by which a stated rate may differ from the measured one


@dataclass(frozen=True)
class Timing:
    """fps, duration_s and the start of every frame in seconds; None where nothing tells."""

    fps: float | None
    duration_s: float | None
    starts_s: tuple[float, ...] | None
    repairs: tuple[str, ...]


def from_stamps(stamps_ms: Sequence[float], stated_fps: float) -> Timing:
    """Timing from presentation time stamps in milliseconds and the header's frame rate.

    A regular clip gets the stated rate if the stamps agree with it within 2 %, else the measured
    one; a clip whose intervals differ by more than 10 % gets the mean. Stamps that do not
    increase are set aside.
    """
    count = len(stamps_ms)
    notes: list[str] = []
    header_rate: float | None = stated_fps
    if not (math.isfinite(stated_fps) and 0 < stated_fps <= _FASTEST_FPS):
        header_rate = None
        notes.append(f"stated frame rate {stated_fps:g} is impossible")
    steps = np.diff(np.asarray(stamps_ms, np.float64)) / 1000
    rising = steps[np.isfinite(steps) & (steps > 0)]
    if rising.size == 0:
        return _regular(header_rate, count, notes)
    whole = rising.size == steps.size
    if not whole:
        notes.append(f"time stamps missing or running backwards: {steps.size - rising.size}")
    usual = float(np.median(rising))
    if bool((np.abs(rising - usual) > _JITTER * usual).any()):
        notes.append(
            f"variable frame rate: {rising.min() * 1000:.0f} to {rising.max() * 1000:.0f} ms"
            " between frames"
        )
        mean = float(1 / rising.mean())
        if not whole:
            return Timing(mean, None, None, tuple(notes))
        starts = tuple((stamp - stamps_ms[0]) / 1000 for stamp in stamps_ms)
        return Timing(mean, starts[-1] + usual, starts, tuple(notes))
    rate = float(1 / rising.mean())
    if header_rate is not None and abs(header_rate - rate) > _AGREE * rate:
        notes.append(f"header states {header_rate:g} frames per second, time stamps give {rate:g}")
        header_rate = None
    return _regular(header_rate or rate, count, notes)


def from_delays(delays: Sequence[int]) -> Timing:
    """Timing of a GIF from the delay of each image in 1/100 s; 0 means that none is stated."""
    silent = sum(delay == 0 for delay in delays)
    if silent:
        return Timing(None, None, None, (f"{silent} of {len(delays)} images state no delay",))
    ends = np.cumsum(delays).tolist()
    starts = tuple((end - delay) / 100 for end, delay in zip(ends, delays, strict=True))
    notes: tuple[str, ...] = ()
    if max(delays) > min(delays):
        low, high = min(delays) * 10, max(delays) * 10
        notes = (f"variable frame rate: {low} to {high} ms between frames",)
    return Timing(100 * len(delays) / ends[-1], ends[-1] / 100, starts, notes)


def _regular(fps: float | None, count: int, notes: list[str]) -> Timing:
    if fps is None:
        return Timing(None, None, None, tuple(notes))
    return Timing(fps, count / fps, tuple(index / fps for index in range(count)), tuple(notes))
