"""Paths below a raw root: their parts, links that leave it, and what folders list."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from qoqdata.errors import OutsideRoot, UnreadableFile

#: What a look at a path that names nothing ends in.
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP, errno.ENAMETOOLONG)


def path_parts(relative: str) -> list[str]:
    """The parts of a path that names something below a root; raises OutsideRoot for any other."""
    path = relative.replace("\\", "/")
    parts = [part for part in path.split("/") if part and part != "."]
    if not relative or "\0" in relative or path.startswith("/") or ".." in parts:
        raise OutsideRoot(
            "does not stay inside the raw root", where=relative, fix="use a relative path"
        )
    return parts


def is_link(status: os.stat_result) -> bool:
    """Whether it is a link, or what Windows has of the kind."""
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) != 0


def refuse_escape(path: str, base: Path, relative: str) -> None:
    """Raise OutsideRoot for a link at `path` whose target lies outside of `base`."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(base)):
        raise OutsideRoot(
            "is a link that leaves the raw root",
            where=relative,
            fix="name its target as a further root under `raw:` in build.yaml",
        )


def is_there(status: os.stat_result | OSError, relative: str) -> bool:
    """Whether a look found something; raises UnreadableFile where the disk did not tell."""
    if not isinstance(status, OSError):
        return True
    if status.errno in _NOT_THERE:
        return False
    what = f"cannot be looked up: {status.strerror}"
    raise UnreadableFile(what, where=relative) from status


def folder_entries(folder: str) -> list[os.DirEntry[str]]:
    """What a folder lists, nothing for one that is not there; raises UnreadableFile."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        what = f"the folder cannot be listed: {error.strerror}"
        raise UnreadableFile(what, where=str(error.filename)) from error


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder; False where the disk does not tell."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def utf8_path(path: str) -> str:
    """The path itself; raises UnreadableFile for a name that is not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        what = "the name of the file is not UTF-8"
        raise UnreadableFile(what, where=ascii(path), fix="rename the file") from error
    return path
