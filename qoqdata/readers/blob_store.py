"""Content-addressed stores, whose files other folders hold as links: by path alone.

`huggingface_hub` keeps `datasets--X--Y/snapshots/REV/file -> ../../blobs/HASH`, DVC with link types
`.dvc/cache`, git-annex and DataLad `.git/annex/objects`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_STORE = re.compile(
    r"(?P<owner>/|.*?/)"
    r"(?:(?P<hub>(?:datasets|models|spaces)--[^/]+)/blobs/[^/]+"
    r"|(?P<dvc>\.dvc/cache)/.+"
    r"|(?P<annex>\.git/(?:modules/(?:.+?/)?)?annex/objects)/.+)"
)


class BlobStore(NamedTuple):
    """A store: its folder, and the folder (`owner`) below which the links to it may lie."""

    folder: str
    owner: str


def blob_store(real: str) -> BlobStore | None:
    """The store in which the file of the real, absolute path `real` lies."""
    match = _STORE.fullmatch(real.replace("\\", "/"))
    if match is None:
        return None
    owner = match["owner"]
    if match["hub"]:
        return BlobStore(f"{owner}{match['hub']}/blobs", f"{owner}{match['hub']}/snapshots")
    return BlobStore(owner + (match["dvc"] or match["annex"]), owner.rstrip("/") or "/")
