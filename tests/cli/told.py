"""What commands say on standard error."""

from __future__ import annotations


def only_line(told: str) -> str:
    """The one line on standard error, which is an error with a fix."""
    assert told.count("\n") == 1, told
    assert told.startswith("error: ")
    assert ". Fix: " in told
    return told.removeprefix("error: ").rstrip("\n")
