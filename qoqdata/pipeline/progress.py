"""Progress as data: the build tells what happened, the command line decides how to show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Planned:
    """A source was planned."""

    source: str
    units: int
    chunks: int
    left_out: int


@dataclass(frozen=True)
class Finished:
    """A chunk is done; `reused` when its receipt still held."""

    source: str
    chunk: str
    units: int
    records: int
    quarantined: int
    reused: bool


@dataclass(frozen=True)
class SourceRefused:
    """A whole source could not be planned; the others go on."""

    source: str
    reason: str
    message: str


@dataclass(frozen=True)
class Warned:
    """Something a person should know that is no failure."""

    source: str
    message: str


Event = Planned | Finished | SourceRefused | Warned


class Listener(Protocol):
    """Receives events as they happen."""

    def __call__(self, event: Event) -> None: ...


def silent(event: Event) -> None:
    """Listen to nothing."""
