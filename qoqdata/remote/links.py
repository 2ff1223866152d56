"""Links and special files in a data set's folder: none leads out of it, and none is opened.

A data set may come from anyone: a link in it would have a file of this machine read, published or
copied, and a pipe would have the reader wait for ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from qoqdata.errors import DatasetError


def refuse_links(root: Path) -> None:
    """Raise DatasetError for a link below `root` whose target lies elsewhere, and for anything that
    is neither a file nor a folder.

    Snapshots of the Hugging Face cache consist of links to `blobs` beside `snapshots`; these are
    followed. What the build keeps for itself (`.build`) is not looked at.
    """
    homes = [root.resolve()]
    if homes[0].parent.name == "snapshots":
        homes.append(homes[0].parent.parent / "blobs")
    for entry in _entries(root):
        path = Path(entry.path)
        where = str(path)
        if entry.is_symlink():
            target = path.resolve()
            if not any(target.is_relative_to(home) for home in homes):
                what, fix = "is a link that leaves the data set", "put the file itself there"
                raise DatasetError(what, where=where, fix=fix)
            # A link to nothing is for whoever reads it to tell.
            if not target.exists():
                continue
        # The listing knows both without asking the disk for each of thousands of shards.
        if not (entry.is_file() or entry.is_dir()):
            what = "is neither a file nor a folder"
            raise DatasetError(what, where=where, fix="remove it")


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name == ".build" and entry.is_dir(follow_symlinks=False):
                continue
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(Path(entry.path))
