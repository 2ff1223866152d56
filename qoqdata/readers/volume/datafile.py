"""Files that a volume's header names: kept inside the header's own folder, opened with care."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import BinaryIO

from qoqdata.errors import MissingFile, UnreadableFile
from qoqdata.readers.limits import Limits
from qoqdata.readers.raw_file import open_raw_file, raw_state

# A printf pattern with one whole number, as MetaIO and Teem write them: slice%03d.raw
NUMBER_FORMAT = re.compile(r"%(0?)(\d{0,2})[diu]")


def file_bytes(path: Path, limits: Limits) -> int:
    """Length of a regular file; raises MissingFile, UnreadableFile or TooLarge otherwise."""
    try:
        mode, size = raw_state(path, limits=limits)
    except FileNotFoundError as error:
        raise MissingFile("no such file", where=str(path)) from error
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"cannot be opened: {error}", where=str(path)) from error
    if not stat.S_ISREG(mode):
        raise UnreadableFile("is not a regular file", where=str(path))
    limits.check("file_bytes", size, where=str(path))
    return size


def open_regular(path: Path, limits: Limits) -> BinaryIO:
    """Open a regular file of acceptable length for reading; raises as `file_bytes`."""
    file_bytes(path, limits)
    try:
        return open_raw_file(path, limits=limits)
    except OSError as error:
        raise UnreadableFile(f"cannot be opened: {error}", where=str(path)) from error


def expand_pattern(pattern: str, numbers: range, *, where: str) -> list[str]:
    """File names of a printf pattern with one %d, %03d ...; raises UnreadableFile for any other."""
    match = NUMBER_FORMAT.search(pattern)
    if match is None or pattern.count("%") != 1:
        raise UnreadableFile(f"not a pattern of numbered files: {pattern!r}", where=where)
    fill, width = match.group(1) or " ", int(match.group(2) or 0)
    before, after = pattern[: match.start()], pattern[match.end() :]
    return [f"{before}{format(number, f'{fill}>{width}')}{after}" for number in numbers]
