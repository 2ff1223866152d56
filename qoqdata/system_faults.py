"""Errors of the operating system: those of a disk, mount or machine, told from those of files."""

from __future__ import annotations

import errno
import re

#: Errors of a disk, a mount or a system under strain; a damaged file gives none of them.
OF_THE_MACHINE = frozenset(
    {
        errno.EIO,
        errno.ESTALE,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EMFILE,
        errno.ENFILE,
        errno.EAGAIN,
        errno.ETIMEDOUT,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ECONNRESET,
        errno.ENOTCONN,
    }
)
#: How Rust, HDF5 and Python spell an error number where the exception does not carry it.
_SPELLED = re.compile(r"\(os error (\d+)\)|\berrno = (\d+)|\[Errno (\d+)\]")


def error_number(error: BaseException) -> int | None:
    """The number of the system's error behind an exception, also where only its words have it."""
    if (number := getattr(error, "errno", None)) is not None:
        return number if isinstance(number, int) else None
    match = _SPELLED.search(str(error)) if isinstance(error, Exception) else None
    return int(next(filter(None, match.groups()))) if match else None
