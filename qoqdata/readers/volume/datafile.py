"""Files that a volume's header names: kept inside the header's own folder, opened with care."""

from __future__ import annotations

import re
import stat
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from qoqdata.errors import MissingFile, OutsideRoot, UnreadableFile
from qoqdata.readers.limits import Limits

# A printf pattern with one whole number, as MetaIO and Teem write them: slice%03d.raw
NUMBER_FORMAT = re.compile(r"%(0?)(\d{0,2})[diu]")


def file_bytes(path: Path, limits: Limits) -> int:
    """Length of a regular file; raises MissingFile, UnreadableFile or TooLarge otherwise."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise MissingFile("no such file", where=str(path)) from error
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"cannot be opened: {error}", where=str(path)) from error
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableFile("is not a regular file", where=str(path))
    limits.check("file_bytes", status.st_size, where=str(path))
    return status.st_size


def open_regular(path: Path, limits: Limits) -> BinaryIO:
    """Open a regular file of acceptable length for reading; raises as `file_bytes`."""
    file_bytes(path, limits)
    try:
        return path.open("rb")
    except OSError as error:
        raise UnreadableFile(f"cannot be opened: {error}", where=str(path)) from error


def resolve_beside(header: Path, name: str) -> Path:
    """The existing regular file that `header` names, inside the header's own folder.

    Raises OutsideRoot for absolute names (POSIX or Windows), for "..", and for links that lead out
    of the folder; MissingFile and UnreadableFile otherwise.
    """
    where = str(header)
    if not name or "\0" in name:
        raise UnreadableFile(f"names no data file: {name!r}", where=where)
    windows = PureWindowsPath(name)
    if Path(name).is_absolute() or windows.drive or windows.root or ".." in windows.parts:
        raise OutsideRoot(
            f"names a data file outside of its folder: {name!r}",
            where=where,
            fix="put the data file beside the header and name it without a folder",
        )
    try:
        folder = header.parent.resolve()
        target = (folder / name).resolve()
    except (OSError, RuntimeError) as error:
        raise UnreadableFile(f"data file {name!r}: {error}", where=where) from error
    if not target.is_relative_to(folder):
        raise OutsideRoot(
            f"data file {name!r} is a link that leads out of its folder",
            where=where,
            fix="replace the link by the file itself",
        )
    try:
        if not target.exists():
            raise MissingFile(f"data file {name!r} is not beside the header", where=where)
        regular = target.is_file()
    except OSError as error:
        raise UnreadableFile(f"data file {name!r}: {error}", where=where) from error
    if not regular:
        raise UnreadableFile(f"data file {name!r} is not a regular file", where=where)
    return target


def expand_pattern(pattern: str, numbers: range, *, where: str) -> list[str]:
    """File names of a printf pattern with one %d, %03d ...; raises UnreadableFile for any other."""
    match = NUMBER_FORMAT.search(pattern)
    if match is None or pattern.count("%") != 1:
        raise UnreadableFile(f"not a pattern of numbered files: {pattern!r}", where=where)
    fill, width = match.group(1) or " ", int(match.group(2) or 0)
    before, after = pattern[: match.start()], pattern[match.end() :]
    return [f"{before}{format(number, f'{fill}>{width}')}{after}" for number in numbers]
