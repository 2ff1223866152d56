"""Finding the files that a WFDB header names, never outside the header's folder."""

from __future__ import annotations

from pathlib import Path

from qoqdata.errors import UnsupportedFormat
from qoqdata.readers.beside import exists_beside, resolve_beside


def beside(header: Path, name: str) -> tuple[Path, str | None]:
    """Path of the file `name` that the header at `header` lists, and a repair or None.

    A folder in front of a file that lies beside the header is dropped (PTB-XL+ headers). Raises
    UnsupportedFormat for standard input, and as `resolve_beside`.
    """
    if name == "-":
        raise UnsupportedFormat("the header reads samples from standard input", where=str(header))
    name = name.replace("\\", "/")
    folder, _, last = name.rpartition("/")
    if folder and ".." not in name and "\0" not in name:
        lies_beside = exists_beside(header, last) and not exists_beside(header, name)
        if lies_beside and not name.startswith("/") and ":" not in name:
            repair = "the header puts its data into a folder; the file beside the header taken"
            return resolve_beside(header, last), repair
    return resolve_beside(header, name), None
