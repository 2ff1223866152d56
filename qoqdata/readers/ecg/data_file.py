"""Finding the files that a WFDB header names, never outside the header's folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from posixpath import normpath

from qoqdata.errors import UnsupportedFormat
from qoqdata.readers.beside import exists_beside, refuse_outside, resolve_beside
from qoqdata.readers.container.address import address
from qoqdata.readers.ecg import formats
from qoqdata.readers.ecg.header import GAP, WfdbHeader


def beside(header: Path, name: str) -> tuple[Path, str | None]:
    """Path of the file `name` that the header at `header` lists, and a repair or None.

    A folder in front of a file that lies beside the header is dropped (PTB-XL+ headers). Raises
    UnsupportedFormat for standard input, and as `resolve_beside`.
    """
    name, repair = _name_beside(header, name)
    return resolve_beside(header, name), repair


def header_beside(header: Path, name: str) -> Path:
    """Path of another header that the one at `header` lists, checked as by `beside`.

    It is the path as named: the files of a header that is itself a link lie by that name.
    """
    name, _ = _name_beside(header, name)
    target = resolve_beside(header, name)
    return target if address(header) is not None else header.parent / name


def signal_names(header: WfdbHeader, path: Path) -> list[str]:
    """The signal files of the header at `path`, relative to its folder, each once.

    Null signals (format 0) have none. The files need not be there. Raises OutsideRoot,
    UnreadableFile for what is no name, and UnsupportedFormat for standard input.
    """
    files = (line.file for line in header.signals if line.fmt != formats.NULL)
    return _names(files, path)


def segment_names(header: WfdbHeader, path: Path) -> list[str]:
    """The headers of the segments, the layout among them, as `signal_names` gives its files."""
    headers = (f"{line.name}.hea" for line in header.segments if line.name != GAP)
    return _names(headers, path)


def _names(names: Iterable[str], path: Path) -> list[str]:
    found = []
    for name in dict.fromkeys(names):
        name, _ = _name_beside(path, name)
        refuse_outside(path, name)
        found.append(normpath(name))
    return list(dict.fromkeys(found))


def _name_beside(header: Path, name: str) -> tuple[str, str | None]:
    if name == "-":
        raise UnsupportedFormat("the header reads samples from standard input", where=str(header))
    name = name.replace("\\", "/")
    folder, _, last = name.rpartition("/")
    if folder and ".." not in name and "\0" not in name:
        lies_beside = exists_beside(header, last) and not exists_beside(header, name)
        if lies_beside and not name.startswith("/") and ":" not in name:
            return last, "the header puts its data into a folder; the file beside the header taken"
    return name, None
