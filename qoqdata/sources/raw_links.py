"""Links in a raw tree: which are followed, by where they really lead.

Followed is a link whose target lies in the raw root itself, in a mount, which the user has named as
well, or is a file of the content-addressed store of the very folder that holds the raw root: the
`blobs` of the same Hugging Face data set, `.dvc/cache` and `.git/annex/objects` of the repository
around it. Any other is refused, whatever it leads to.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from qoqdata.errors import OutsideRoot
from qoqdata.readers.blob_store import blob_store

_FIX = (
    "put the files in place of the links (cp -rL), or name the folder of their targets under "
    "`mounts:` in build.yaml"
)


def follow_link(path: str, home: str, named: Iterable[str], relative: str) -> os.stat_result:
    """The state of what a path with a link in it leads to.

    `home` is the real path of the root that `path` lies below, `named` are those of other folders
    that links may lead to. Raises OutsideRoot for any other target, and OSError.
    """
    target = os.path.realpath(path)
    if any(is_below(target, folder) for folder in (home, *named)):
        return Path(path).stat()
    store = blob_store(target)
    if store is None or not is_below(home, store.owner):
        to = ", to a folder" if Path(target).is_dir() else ""
        raise OutsideRoot(f"is a link that leaves the raw root{to}", where=relative, fix=_FIX)
    status = Path(target).stat()
    if not stat.S_ISREG(status.st_mode):
        raise OutsideRoot("is a link that leads to no file of its store", where=relative, fix=_FIX)
    return status


def is_below(path: str, folder: str) -> bool:
    """Whether a real path is that of the folder or of something in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
