"""Identifiers that readers come across in headers and tables, for whoever has to know them again.

Readers do not give them on. Inside `taking_identifiers` they are noted here, so that a build can
keep their hashes and a publication can look for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field


@dataclass
class Identifiers:
    """Raw identifiers: of persons and their visits, and of studies, files and objects."""

    persons: set[str] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)

    def add(self, other: Identifiers) -> None:
        """Take in those of `other`."""
        self.persons |= other.persons
        self.objects |= other.objects


_TAKEN: ContextVar[Identifiers | None] = ContextVar("identifiers", default=None)


@contextmanager
def taking_identifiers() -> Iterator[Identifiers]:
    """Collect what is noted inside of the block."""
    taken = Identifiers()
    token = _TAKEN.set(taken)
    try:
        yield taken
    finally:
        _TAKEN.reset(token)


def are_taken() -> bool:
    """Whether anybody collects."""
    return _TAKEN.get() is not None


def note_identifiers(*, persons: Iterable[str] = (), objects: Iterable[str] = ()) -> None:
    """Note raw identifiers where they are collected."""
    if (taken := _TAKEN.get()) is not None:
        taken.persons.update(persons)
        taken.objects.update(objects)
