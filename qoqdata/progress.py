"""How long work says how far it is: it calls a function with what is done and the total."""

from __future__ import annotations

from collections.abc import Callable

#: Hears of parts done and of their total.
ProgressCallback = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Show no progress."""
