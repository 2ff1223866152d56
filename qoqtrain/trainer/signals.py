"""Signals by which a scheduler asks a run to save: SIGUSR1 to save and go on, SIGTERM to save and
end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(eq=False)
class Wishes:
    """What was asked for since the last step."""

    save: bool = False
    end: bool = False


@contextmanager
def heard() -> Iterator[Wishes]:
    """Inside, the signals are noted and nothing else; afterwards they do what they did before.

    Only a main thread hears signals; elsewhere nothing is ever asked for.
    """
    wishes = Wishes()
    if threading.current_thread() is not threading.main_thread():
        yield wishes
        return

    def save(number: int, frame: Any) -> None:
        wishes.save = True

    def end(number: int, frame: Any) -> None:
        wishes.end = True

    former = {
        signal.SIGUSR1: signal.signal(signal.SIGUSR1, save),
        signal.SIGTERM: signal.signal(signal.SIGTERM, end),
    }
    try:
        yield wishes
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
