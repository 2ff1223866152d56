"""Attacks on a process that handles Ctrl-C as Python does."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _python_handles_interrupts() -> Iterator[None]:
    """Libraries that other tests import in the same process take the signal for themselves."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)
