"""What a raw tree lists: regular files by path, and what is left out, each with its reason."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from qoqdata.errors import InputError, OutsideRoot, UnreadableFile
from qoqdata.printable import printable
from qoqdata.readers.raw_file import refuse_special
from qoqdata.sources.raw_paths import folder_entries

#: What systems leave in folders, in lower case, beside names that begin with a dot: `.DS_Store`,
#: `._a.png` and `.git` among them.
LITTER = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "__macosx",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "@eadir",
    }
)


@dataclass(frozen=True)
class Listing:
    """Sorted paths of files; `faults` are of paths that no unit can have, in printable form.

    `litter` and `ignored` are paths of files, and of folders that were left out as a whole;
    `ignored` tells by which pattern.
    """

    files: list[str] = field(default_factory=list)
    faults: dict[str, InputError] = field(default_factory=dict)
    litter: list[str] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)


def list_tree(
    starts: Iterable[tuple[str, str]],
    *,
    mounts: Iterable[str],
    ignore: Sequence[str],
    follow: Callable[[str], object],
) -> Listing:
    """List folders, given with the prefix of their paths; each folder is read once.

    A mount hides what the root holds under its name. Linked folders are not entered: what lies in
    the root is listed where it lies, and of others `follow` raises the reason. Raises
    UnreadableFile for a folder that cannot be listed.
    """
    listing = Listing()
    shadows = frozenset(mounts)
    for start in starts:
        folders = [start]
        while folders:
            folder, prefix = folders.pop()
            for entry in folder_entries(folder):
                name = entry.name
                if not prefix and name in shadows:
                    continue
                path = f"{prefix}/{name}" if prefix else name
                if is_litter(name):
                    listing.litter.append(path)
                elif ignore and (pattern := ignored_by(path, ignore)) is not None:
                    listing.ignored[path] = pattern
                elif not (name.isascii() or _is_utf8(name)):
                    fault = UnreadableFile(
                        "the name is not UTF-8, which no record or table can hold",
                        where=printable(path),
                        fix="rename it",
                    )
                    listing.faults[printable(path)] = fault
                elif entry.is_dir(follow_symlinks=False):
                    folders.append((entry.path, path))
                elif entry.is_file(follow_symlinks=False):
                    listing.files.append(path)
                else:
                    _add_other(listing, entry, path, follow)
    listing.files.sort()
    return listing


def is_litter(name: str) -> bool:
    """Whether a name is hidden or one that a system gives to what is its own."""
    return name[0] == "." or name.lower() in LITTER


def ignored_by(path: str, patterns: Sequence[str]) -> str | None:
    """The first of the patterns that leaves `path`, or a folder that it lies in, out.

    A pattern without a slash is one of a name at any depth, as in `*.txt`; one with a slash is of
    the path from the raw root, where `**` stands for any number of folders. Case is ignored.
    """
    parts = path.lower().split("/")
    for pattern in patterns:
        shapes = pattern.lower().strip("/").split("/")
        if "/" not in pattern:
            shapes = ["**", *shapes]
        if any(_matches(parts[:end], shapes) for end in range(1, len(parts) + 1)):
            return pattern
    return None


def _matches(parts: Sequence[str], shapes: Sequence[str]) -> bool:
    if not shapes:
        return not parts
    if shapes[0] == "**":
        return any(_matches(parts[n:], shapes[1:]) for n in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], shapes[0]) and _matches(parts[1:], shapes[1:])


def _add_other(
    listing: Listing, entry: os.DirEntry[str], path: str, follow: Callable[[str], object]
) -> None:
    """Add a link, or what is no file at all."""
    try:
        status = entry.stat()
        refuse_special(status.st_mode, where=path)
        if not entry.is_dir():
            listing.files.append(path)
        else:
            follow(path)
    except OSError:  # A link to nothing is told when it is read.
        listing.files.append(path)
    except (OutsideRoot, UnreadableFile) as fault:
        listing.faults[path] = fault


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def left_out_of(listings: Iterable[Listing]) -> Listing:
    """What several listings left out, together; its `files` are empty."""
    together = Listing()
    for listing in listings:
        together.faults.update(listing.faults)
        together.ignored.update(listing.ignored)
        together.litter.extend(listing.litter)
    return replace(together, litter=sorted(set(together.litter)))
