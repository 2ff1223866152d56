"""Stamps of raw files: what tells whether a file is still the one that was looked at."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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


def many_at_a_time(
    stamp: Callable[[str], Stamp | None], relatives: Sequence[str]
) -> list[Stamp | None]:
    """Stamps of files, several at a time where the file system answers slowly."""
    first, rest = relatives[:_TRIED], relatives[_TRIED:]
    found, seconds = [], []
    for relative in first:
        begin = perf_counter()
        found.append(stamp(relative))
        seconds.append(perf_counter() - begin)
    # Of most: on a machine with much to do, a single look may wait its turn for long.
    if not rest or sorted(seconds)[len(seconds) // 2] < _SLOW:
        return [*found, *map(stamp, rest)]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return [*found, *pool.map(stamp, rest)]


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
