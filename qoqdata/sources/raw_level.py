"""Whether the raw folder is one too high or too low: where what was looked for lies instead."""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from qoqdata.errors import InputError, MissingFile, OutsideRoot, UnreadableFile
from qoqdata.sources.protocol import Job
from qoqdata.sources.raw_listing import is_litter
from qoqdata.sources.raw_paths import folder_entries, path_parts

#: How far the search goes: levels up and down, and folders in all.
_UP, _DOWN, _FOLDERS = 3, 3, 500
_SHOWN = 3
#: The part of a pattern or of a line of a card's layout that says the same of every file.
_FIXED = re.compile(r"[^\s<{*?\[]+")


def with_level(error: InputError, job: Job) -> InputError:
    """The error of a plan as a whole, with the raw folder that would be right, if one is near.

    Paths in it begin with the raw root. The search is bounded, follows no link and opens no file.
    """
    if type(error) not in (InputError, MissingFile) or job.raw.store is not None:
        return error
    for name in dict.fromkeys(_wanted(error, job)):
        if places := list(_places(job.raw.root, name)):
            # No command: written down, the places are told from the raw root on.
            which = "that folder" if len(places) == 1 else "one of them"
            what = f"{error.what}; {name} was looked for in {job.raw.origin}"
            fix = f"it is in {', '.join(places)}: name {which} with --raw"
            return type(error)(what, where=error.where, fix=fix)
    return error


def _wanted(error: InputError, job: Job) -> Iterator[str]:
    """What the raw root should hold: what the error names, then folders and files of the layout."""
    if isinstance(error, MissingFile) and error.where:
        yield error.where
    if job.mapping is None:
        for line in job.card.layout.splitlines():
            yield from _fixed(line.strip())
        return
    if (table := getattr(job.mapping, "table", None)) is not None:
        yield table.file
    for value in job.mapping.model_dump().values():
        if isinstance(value, str) and "{" in value:
            yield from _fixed(value)


def _fixed(pattern: str) -> Iterator[str]:
    """The folder that begins a path pattern, or the file that it is; nothing for a bare name."""
    match = _FIXED.match(pattern)
    if match is None:
        return
    folder = match[0].rpartition("/")[0]
    if folder or "." in match[0]:
        yield folder or match[0]


def _places(root: Path, name: str) -> Iterator[str]:
    """Folders below the root, else above it, that hold `name`; nothing where the root does."""
    try:
        parts = path_parts(name)
    except OutsideRoot:
        return
    relative = "/".join(parts)
    if _holds(str(root), relative):
        return
    below = [folder for folder in _folders(str(root)) if _holds(folder, relative)]
    if below:
        yield from below[:_SHOWN]
        return
    folder = str(root)
    for _ in range(_UP):
        folder = f"{folder}/.."
        if _holds(folder, relative):
            yield folder
            return


def _folders(root: str) -> Iterator[str]:
    """Folders below the root, the nearest first."""
    waiting = deque([(root, 0)])
    for _ in range(_FOLDERS):
        if not waiting:
            return
        folder, depth = waiting.popleft()
        if depth:
            yield folder
        if depth < _DOWN:
            waiting.extend((f"{folder}/{name}", depth + 1) for name in _folders_in(folder))


def _folders_in(folder: str) -> list[str]:
    try:
        entries = folder_entries(folder)
    except UnreadableFile:
        return []
    return sorted(
        one.name for one in entries if one.is_dir(follow_symlinks=False) and not is_litter(one.name)
    )


def _holds(folder: str, relative: str) -> bool:
    return os.path.lexists(f"{folder}/{relative}")
