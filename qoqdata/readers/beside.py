"""The files that a header names: beside it, never elsewhere."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath
from stat import S_ISREG

from qoqdata.errors import MissingFile, OutsideRoot, UnreadableFile
from qoqdata.readers.blob_store import blob_store
from qoqdata.readers.container.address import Address, address
from qoqdata.readers.container.opened import open_container
from qoqdata.readers.raw_file import is_raw_file


def resolve_beside(header: Path, name: str) -> Path:
    """The existing regular file that `header` names, inside the header's own folder.

    The folder is the one that holds the header as named or, where the header is itself a link, the
    one that holds its target, or the content-addressed store of that: caches link header and data
    alike. Raises
    OutsideRoot for absolute names (POSIX or Windows), for "..", and for links that lead out of the
    folder; MissingFile and UnreadableFile otherwise. The folder of a member is that in its
    container.
    """
    where = str(header)
    refuse_outside(header, name)
    if (member := address(header)) is not None:
        return _member_beside(member, name)
    try:
        folder = header.parent.resolve()
        if "/" not in name and S_ISREG(os.lstat(folder / name).st_mode):
            return folder / name  # no link, so it is where it seems
    except (OSError, RuntimeError):
        pass  # told below
    try:
        target = (header.parent / name).resolve()
        folders = {header.parent.resolve(), header.resolve().parent}
        if (store := blob_store(str(header.resolve()))) is not None:
            folders.add(Path(store.folder))
    except (OSError, RuntimeError) as error:
        raise UnreadableFile(f"data file {name!r}: {error}", where=where) from error
    if not any(target.is_relative_to(folder) for folder in folders):
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


def refuse_outside(header: Path, name: str) -> None:
    """Raise for a `name` that cannot be of a file in the folder of `header`, as `resolve_beside`.

    Nothing is looked at on the disk.
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


def exists_beside(header: Path, name: str) -> bool:
    """Whether anything of that name lies in the header's folder, links not looked through."""
    if (member := address(header)) is not None:
        return is_raw_file(Path(str(_sibling(member, name))))
    return (header.parent / name).exists()


def _member_beside(header: Address, name: str) -> Path:
    target = _sibling(header, name)
    try:
        open_container(target.path).check(target.member)
    except MissingFile as error:
        what = f"data file {name!r} is not beside the header"
        raise MissingFile(what, where=str(header)) from error
    return Path(str(target))


def _sibling(header: Address, name: str) -> Address:
    folder, slash, _ = header.member.rpartition("/")
    return header._replace(member=f"{folder}{slash}{name}")
