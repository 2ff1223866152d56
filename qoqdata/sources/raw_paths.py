"""Paths below a raw root: their parts, what is there, and what a folder lists."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from qoqdata.errors import InputError, MissingFile, OutsideRoot, UnreadableFile
from qoqdata.readers.raw_file import refuse_special

#: What a look at a path that names nothing ends in.
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.EBADF, errno.ELOOP, errno.ENAMETOOLONG)

#: Windows' own kind of links has a tag.
_HAS_TAGS = hasattr(os.stat_result, "st_reparse_tag")


def path_parts(relative: str) -> list[str]:
    """The parts of a path that names something below a root; raises OutsideRoot for any other."""
    path = relative.replace("\\", "/")
    parts = [part for part in path.split("/") if part and part != "."]
    if not relative or "\0" in relative or path.startswith("/") or ".." in parts:
        raise OutsideRoot(
            "does not stay inside the raw root", where=relative, fix="use a relative path"
        )
    return parts


def is_plain(name: str) -> bool:
    """Whether a part of a path is a name as it stands."""
    return name not in ("", ".", "..") and "\\" not in name and "\0" not in name


def is_link(status: os.stat_result) -> bool:
    """Whether it is a link, or what Windows has of the kind."""
    return stat.S_ISLNK(status.st_mode) or (_HAS_TAGS and getattr(status, "st_reparse_tag", 0) != 0)


def is_there(status: os.stat_result | OSError, relative: str) -> bool:
    """Whether a look found something; raises UnreadableFile where the disk did not tell."""
    if not isinstance(status, OSError):
        return True
    if status.errno in _NOT_THERE:
        return False
    what = f"cannot be looked up: {status.strerror}"
    raise UnreadableFile(what, where=relative) from status


def present(path: str, status: os.stat_result | OSError, relative: str) -> Path:
    """The path, by what a look at it found; raises MissingFile, and UnreadableFile where the disk
    did not tell and for what is never opened."""
    if not isinstance(status, OSError):
        refuse_special(status.st_mode, where=relative)
    elif not is_there(status, relative):
        raise _absent(path, status, relative) from status
    return Path(path)


def _absent(path: str, reason: OSError, relative: str) -> InputError:
    """Why nothing was found at `path`, in words."""
    if reason.errno == errno.ELOOP:
        fix = "put the file in its place"
        return UnreadableFile("is a link that leads back to itself", where=relative, fix=fix)
    if reason.errno == errno.ENOENT and Path(path).is_symlink():
        fix = "fetch it (dvc pull, git annex get, the download once more), or drop the row"
        return MissingFile("is a link to a file that is not there", where=relative, fix=fix)
    return MissingFile("no such file", where=relative, fix="fetch it, or drop the row")


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


def utf8_path(path: str) -> str:
    """The path itself; raises UnreadableFile for a name that is not UTF-8."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        what = "the name of the file is not UTF-8"
        raise UnreadableFile(what, where=ascii(path), fix="rename the file") from error
    return path
