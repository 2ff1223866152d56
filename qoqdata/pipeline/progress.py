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
class InWork:
    """Something takes long: `what`, the key of a unit or the plan, has been in work for so long."""

    source: str
    what: str
    seconds: int


@dataclass(frozen=True)
class ChunkUnfinished:
    """A chunk has no receipt, because the machine failed; the next build tries it again."""

    source: str
    chunk: str
    reason: str


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


Event = Planned | Finished | InWork | ChunkUnfinished | SourceRefused | Warned


class Listener(Protocol):
    """Receives events as they happen."""

    def __call__(self, event: Event) -> None: ...


def silent(event: Event) -> None:
    """Listen to nothing."""
