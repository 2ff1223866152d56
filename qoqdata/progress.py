"""How long work says how far it is: it calls a function with what is done and the total."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

#: Hears of parts done and of their total.
ProgressCallback = Callable[[int, int], None]

#: Seconds that work may take without a word.
SHORT = 2.0


def silent(done: int, total: int) -> None:
    """Show no progress."""


@dataclass
class Pace:
    """How fast counted work goes, in words, from when this object is made.

    unit    what is counted, in the plural
    clock   seconds, from anywhere
    Where less is done than before, or nothing when first asked, work has begun just now, and the
    pace with it.
    """

    unit: str
    clock: Callable[[], float] = time.monotonic
    _started: float = field(init=False)
    # More than nothing, which is less: the first word of work is its beginning.
    _done: int = field(default=1, init=False)
    _tenth: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def line(self, done: int, total: int) -> str | None:
        """How far, how fast and how long still; None but at each tenth of the total, and of work
        that has not taken long."""
        if done < self._done:
            self._started, self._tenth = self.clock(), 0
        tenth = 10 * done // total if total else 10
        due, self._done, self._tenth = tenth > self._tenth, done, max(tenth, self._tenth)
        seconds = self.clock() - self._started
        if not due or seconds < SHORT:
            return None
        words = f"{done:,} of {total:,} {self.unit}, {rate(done / seconds)}"
        left = (total - done) * seconds / done if done else 0
        return words if done >= total else f"{words}, {duration(left)} left"


def rate(per_second: float) -> str:
    """A rate with its time, such as "12 a second" or "3.5 a minute"."""
    for time_, factor in (("second", 1), ("minute", 60)):
        if (value := per_second * factor) >= 1:
            return f"{value:,.1f} a {time_}" if value < 10 else f"{value:,.0f} a {time_}"
    return f"{per_second * 3600:,.1f} an hour"


def duration(seconds: float) -> str:
    """Seconds in words: "42 s", "3 min 05 s" or "2 h 07 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
