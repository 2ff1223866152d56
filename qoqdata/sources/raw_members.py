"""Members of containers among the paths of a raw tree: `container#member`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import translate
from pathlib import Path

from qoqdata.errors import OutsideRoot
from qoqdata.readers.container.address import LMDB_FILE, MARK, Address, container_state, splits
from qoqdata.sources.raw_paths import folder_entries


def named_member(
    relative: str, trace: Callable[[str], tuple[str, os.stat_result | OSError]]
) -> Address | None:
    """The member that `relative` names; None for a file, also one that is not there.

    `trace` gives the path of a file and its state, and raises OutsideRoot.
    """
    if MARK not in relative:
        return None
    try:
        if not isinstance(trace(relative)[1], OSError):
            return None
    except OutsideRoot:  # as the name of a file; a member may have any
        pass
    for file, member in splits(relative):
        try:
            path = Path(trace(file)[0])
        except OutsideRoot:
            continue
        if container_state(path) is not None:
            return Address(path, member)
    return None


def looked_at_once(
    relatives: Sequence[str], marked_names: Callable[[str], list[str]]
) -> dict[str, str]:
    """For each path one that stands for all with its container, itself where it stands alone.

    Members share a container where no other file of its folder begins with its name and the
    mark: such a file could be what they name. `marked_names` tells the files of a folder whose
    names have a mark.
    """
    marked: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    found = {}
    for relative in relatives:
        base, mark, _ = relative.partition(MARK)
        folder, _, name = base.rpartition("/")
        if mark and folder not in marked:
            marked[folder] = marked_names(folder)
        alone = not mark or any(one.startswith(name + mark) for one in marked[folder])
        found[relative] = relative if alone else first.setdefault(base, relative)
    return found


def marked_names(folder: Path) -> list[str]:
    """The names in a folder that have a mark."""
    return [entry.name for entry in folder_entries(str(folder)) if MARK in entry.name]


def members_matching(
    listing: Sequence[str], patterns: Sequence[str], members: Callable[[str, str], list[str]]
) -> set[str]:
    """The members that patterns such as `*.zip#*.png` name of the containers among listed files;
    `members` lists those of a container that match."""
    return {
        member
        for container, pattern in (one.split(MARK, 1) for one in patterns if MARK in one)
        for file in _containers_among(listing, container)
        for member in members(file, pattern)
    }


def _containers_among(listing: Sequence[str], pattern: str) -> Iterator[str]:
    """The listed files whose name matches a shell pattern, LMDB's folders among them."""
    shape = re.compile(translate(pattern.lower()))
    for path in listing:
        path = path.removesuffix(f"/{LMDB_FILE}")
        if shape.match(path.rpartition("/")[2].lower()):
            yield path
