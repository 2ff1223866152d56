"""What the listings of a plan left out: rows for files at fault, a line for what is no data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from qoqdata.sources.protocol import Refused
from qoqdata.sources.raw_listing import Listing
from qoqdata.sources.rawtree import RawTree

#: What `qoqdata simulate` leaves in a tree.
_MARK = ".synthetic.json"
_SHOWN = 3


def refused_files(raw: RawTree, planned: Iterable[str]) -> list[Refused]:
    """Files that no unit can have, one row each; those have theirs whose key or path is among
    `planned`, what the plan accounts for."""
    faults = raw.left_out().faults
    if not faults:
        return []
    told = set(planned)
    return [Refused(path, fault, (path,)) for path, fault in faults.items() if path not in told]


def leftover_messages(raw: RawTree) -> Iterator[str]:
    """What hidden files, litter and the patterns of `ignore` come to."""
    listing = raw.left_out()
    if litter := [path for path in listing.litter if path != _MARK]:
        yield f"{_counted(litter)} left out as hidden or the system's own: {_named(litter)}"
    for pattern in raw.ignore:
        yield _ignored(pattern, listing)


def _ignored(pattern: str, listing: Listing) -> str:
    paths = [path for path, by in listing.ignored.items() if by == pattern]
    if not paths:
        return f"the pattern {pattern!r} under `ignore` leaves nothing out"
    return f"{_counted(paths)} left out by {pattern!r} under `ignore`: {_named(paths)}"


def _counted(paths: Sequence[str]) -> str:
    return "1 file or folder" if len(paths) == 1 else f"{len(paths):,} files and folders"


def _named(paths: Sequence[str]) -> str:
    return ", ".join(paths[:_SHOWN]) + (" ..." if len(paths) > _SHOWN else "")
