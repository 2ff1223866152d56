"""Finding the files that a header names, never outside the header's folder."""

from __future__ import annotations

from pathlib import Path

from qoqdata.errors import MissingFile, OutsideRoot, UnreadableFile, UnsupportedFormat


def beside(header: Path, name: str) -> tuple[Path, str | None]:
    """Path of the file `name` that the header at `header` lists, and a repair or None.

    Relative names only; `..`, absolute paths, drive letters and links that lead out of the folder
    are OutsideRoot. The folder is the one that holds the header as named or, where the header is a
    link, the one that holds its target (content-addressed caches link header and data alike). A
    folder in front of a file that lies beside the header is dropped (PTB-XL+ headers).
    """
    where = str(header)
    if name == "-":
        raise UnsupportedFormat("the header reads samples from standard input", where=where)
    parts = name.replace("\\", "/").split("/")
    if "\0" in name or ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise OutsideRoot(f"the header names the file {name!r}", where=where)
    path, repair = header.parent / "/".join(parts), None
    if len(parts) > 1 and not path.exists() and (header.parent / parts[-1]).exists():
        path = header.parent / parts[-1]
        repair = "the header puts its data into a folder; the file beside the header taken"
    try:
        real = path.resolve()
        folders = {header.parent.resolve(), header.resolve().parent}
    except (OSError, RuntimeError) as error:
        raise UnreadableFile(f"{name!r} cannot be resolved", where=where) from error
    if not any(real.is_relative_to(folder) for folder in folders):
        raise OutsideRoot(
            f"the header names the file {name!r}, a link out of its folder", where=where
        )
    if not path.exists():
        raise MissingFile(f"the header names {name!r}, which is not there", where=where)
    if not path.is_file():
        raise UnreadableFile(f"{name!r} is not a regular file", where=where)
    return path, repair
