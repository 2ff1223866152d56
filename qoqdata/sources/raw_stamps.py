"""Stamps of raw files: what tells whether a file is still the one that was looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from operator import attrgetter
from time import perf_counter

from qoqdata.readers.container.address import MARK
from qoqdata.sources.raw_paths import is_link, is_plain
from qoqdata.sources.raw_roots import RawRoots

#: Size of a file and its modification time in ns.
Stamp = tuple[int, int]
#: The stamp of a file by its state.
stamp_of: Callable[[os.stat_result], Stamp] = attrgetter("st_size", "st_mtime_ns")
#: Seconds a look at a file takes where it pays to have many under way, as over a network; how many
#: files tell, and how many looks at a time.
_SLOW, _TRIED, _AT_A_TIME = 1e-4, 32, 16
#: Folders that are remembered: those of a chunk, and not the millions of a source.
_KNOWN = 10_000
#: Found in paths, one a line, where the last part of one is no name as it stands, see `is_plain`.
_ODD = ("\\", "\0", MARK, "\n\n", "\n/", "/\n", "/.\n", "/..\n", "\n.\n", "\n..\n")
StampsOf = Callable[[Sequence[str]], list[Stamp | None]]


def many_at_a_time(stamps: StampsOf, relatives: Sequence[str]) -> list[Stamp | None]:
    """Stamps of files, several at a time where the file system answers slowly."""
    first, rest = relatives[:_TRIED], relatives[_TRIED:]
    found: list[Stamp | None] = []
    seconds = []
    for relative in first:
        begin = perf_counter()
        found += stamps([relative])
        seconds.append(perf_counter() - begin)
    # Of most: on a machine with much to do, a single look may wait its turn for long.
    if not rest or sorted(seconds)[len(seconds) // 2] < _SLOW:
        return found + stamps(rest)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return [*found, *chain.from_iterable(pool.map(stamps, ([one] for one in rest)))]


def stamper_of_many(roots: RawRoots, stamp: Callable[[str], Stamp | None]) -> StampsOf:
    """Stamps of files as `stamp` gives each; it is asked of all but plain files that are there.

    A folder that leads to files is looked at once. What can be asked of all paths together is: of
    millions, calls for each are half the time.
    """
    places: dict[str, str | None] = {}
    lstat, link = os.lstat, is_link

    def stamps(relatives: Sequence[str]) -> list[Stamp | None]:
        text = "\n".join(("", *relatives, ""))
        if any(part in text for part in _ODD):
            return list(map(stamp, relatives))
        found: list[Stamp | None] = []
        for relative in relatives:
            folder, _, name = relative.rpartition("/")
            try:
                place = places[folder]
            except KeyError:
                place = places[folder] = roots.unlinked(folder)
            try:
                status = None if place is None else lstat(f"{place}/{name}")
            except OSError:
                status = None
            if status is None or link(status):
                found.append(stamp(relative))
            else:
                found.append(stamp_of(status))
        return found

    return stamps


def looker(roots: RawRoots) -> Callable[[str], os.stat_result | None]:
    """The state of a plain file that is there; None for a link, a member and anything else.

    A folder that leads to files is looked at once.
    """
    folders: dict[str, str | None] = {}
    lstat = os.lstat

    def look(relative: str) -> os.stat_result | None:
        folder, slash, name = relative.rpartition("/")
        try:
            place = folders[folder]
        except KeyError:
            if len(folders) >= _KNOWN:
                folders.clear()
            place = folders[folder] = roots.unlinked(folder)
        is_absolute = slash and not folder
        if place is None or is_absolute or not is_plain(name) or MARK in relative:
            return None
        try:
            status = lstat(f"{place}/{name}")
        except OSError:
            return None
        return None if is_link(status) else status

    return look
