"""Addresses of members: `file#member`, where a real file of that very name comes first."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from qoqdata.system_faults import OF_THE_MACHINE

MARK = "#"
#: The file inside the folder that an LMDB environment usually is.
LMDB_FILE = "data.mdb"


class Address(NamedTuple):
    """A member of the container at `path`; `member` as `member_text` has it."""

    path: Path
    member: str

    def __str__(self) -> str:
        return f"{self.path}{MARK}{self.member}"


def splits(text: str) -> Iterator[tuple[str, str]]:
    """All ways to read `text` as file and member, the longest file first."""
    end = len(text)
    while (end := text.rfind(MARK, 0, end)) > 0:
        if end + 1 < len(text):
            yield text[:end], text[end + 1 :]


def address(path: Path) -> Address | None:
    """The member that `path` stands for; None where it is a file of that name, or nothing."""
    text = str(path)
    if MARK not in text or _lexists(text):
        return None
    for file, member in splits(text):
        if container_state(Path(file)) is not None:
            return Address(Path(file), member.replace(os.sep, "/"))
    return None


def container_state(path: Path) -> os.stat_result | None:
    """The state of the regular file that holds a container, None when there is none."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode) and path.suffix.lower() == ".lmdb":
            status = (path / LMDB_FILE).stat()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in OF_THE_MACHINE:
            raise
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def member_text(member: str) -> str:
    """`member` as it comes out of a `Path`, which drops doubled slashes and parts named "."."""
    return PurePosixPath(MARK + member).as_posix()[1:] if "/" in member else member


def _lexists(text: str) -> bool:
    try:
        return os.path.lexists(text)
    except ValueError:  # a NUL, which no file's name holds
        return False
