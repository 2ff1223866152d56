"""What every kind of container can do, and archives of named files in particular."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import translate
from pathlib import Path, PureWindowsPath
from typing import Any, Protocol, runtime_checkable

import numpy as np

from qoqdata.errors import (
    DuplicateKey,
    InputError,
    MissingFile,
    OutsideRoot,
    UnreadableFile,
    UnsupportedFormat,
)
from qoqdata.readers.limits import Limits


class Container(Protocol):
    """An indexed container. `weight` is the number of things that its index holds in memory."""

    @property
    def weight(self) -> int: ...

    def names(self, pattern: str) -> list[str]:
        """The members whose name matches a shell pattern, sorted; those at fault as well."""
        ...

    def check(self, member: str) -> None:
        """Raise MissingFile or MissingKey for a member that is not there, or why it is at fault."""
        ...

    def size(self, member: str) -> int | None:
        """Bytes of a member's content, None where only the content tells; raises as `check`."""
        ...

    def read(self, member: str, limits: Limits) -> bytes:
        """A member's content; raises as `check`, UnreadableFile and TooLarge."""
        ...


# Without any of these a name is a plain relative one; the rest costs too much for every name.
_SUSPICIOUS = re.compile(r"\.\.|^/|[\\:\0]")


@runtime_checkable
class HoldsArrays(Protocol):
    """A container whose members have a dtype and a shape."""

    def layout(self, member: str) -> tuple[np.dtype[Any], tuple[int, ...]]: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an archive: where its data begin, how long they are, and how they are packed.

    `fault` is one of FAULTS when it cannot be read. `method` and `crc` are those of a zip.
    """

    offset: int
    size: int
    packed: int = 0
    method: int = 0
    crc: int = 0
    fault: str | None = None


_UNPACK = "unpack the archive into the raw folder"
FAULTS: Mapping[str, tuple[type[InputError], str, str]] = {
    "twice": (DuplicateKey, "the archive holds more than one file of that name", _UNPACK),
    "outside": (OutsideRoot, "its name leads out of the archive", "rename it in the archive"),
    "folder": (UnreadableFile, "is a folder of the archive", "name the files in it"),
    "link": (UnsupportedFormat, "is a link in the archive", "name the file that it leads to"),
    "device": (UnsupportedFormat, "is a device or pipe in the archive", "leave it out"),
    "sparse": (UnsupportedFormat, "is a sparse file in the archive", _UNPACK),
    "encrypted": (UnsupportedFormat, "is encrypted", _UNPACK + " with its password"),
}


@dataclass(frozen=True)
class Archive:
    """A zip or tar: entries by the name that `archive_entries` gives them."""

    path: Path
    entries: Mapping[str, Entry]
    content: Callable[[Entry, str, Limits], bytes]
    extra_weight: int = 0

    @property
    def weight(self) -> int:
        return len(self.entries) + self.extra_weight

    def names(self, pattern: str) -> list[str]:
        shape = name_pattern(pattern)
        return sorted(
            name for name, entry in self.entries.items() if entry.fault != "folder" and shape(name)
        )

    def check(self, member: str) -> None:
        self._entry(member)

    def size(self, member: str) -> int | None:
        return self._entry(member).size

    def read(self, member: str, limits: Limits) -> bytes:
        entry = self._entry(member)
        where = f"{self.path}#{member}"
        limits.check("inflated_bytes", entry.size, where=where)
        return self.content(entry, where, limits)

    def _entry(self, member: str) -> Entry:
        entry = self.entries.get(archive_name(member))
        where = f"{self.path}#{member}"
        if entry is None:
            raise MissingFile("the archive holds no such file", where=where)
        if entry.fault is not None:
            kind, what, fix = FAULTS[entry.fault]
            raise kind(what, where=where, fix=fix)
        return entry


def archive_entries(found: Iterable[tuple[str, Entry]]) -> dict[str, Entry]:
    """Entries by name; names that lead elsewhere and names that occur twice are at fault."""
    entries: dict[str, Entry] = {}
    for stored, one in found:
        name = archive_name(stored)
        if not name:  # the folder itself, which many archives list as "./"
            continue
        entry = replace(one, fault="outside") if _leads_out(stored) else one
        before = entries.get(name)
        if before is not None and not before.fault == entry.fault == "folder":
            entry = replace(entry, fault="twice")
        entries[name] = entry
    return entries


def archive_name(stored: str) -> str:
    """A stored name without empty parts and parts named "."; an absolute one stays so."""
    parts = [part for part in stored.split("/") if part not in ("", ".")]
    return ("/" if stored.startswith("/") else "") + "/".join(parts)


def _leads_out(stored: str) -> bool:
    if not _SUSPICIOUS.search(stored):
        return False
    windows = PureWindowsPath(stored)
    return bool("\0" in stored or windows.drive or windows.root or ".." in windows.parts)


def name_pattern(pattern: str) -> Callable[[str], bool]:
    """Whether a name matches: its last part, or all of it where the pattern has a slash.

    Shell patterns, case ignored, as `RawTree.files` takes them; brackets stand for themselves.
    """
    shape = re.compile(translate(pattern.lower().replace("[", "[[]")))
    if "/" in pattern:
        return lambda name: shape.match(name.lower()) is not None
    return lambda name: shape.match(name.rpartition("/")[2].lower()) is not None
