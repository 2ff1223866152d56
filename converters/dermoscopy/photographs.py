"""Photographs of lesions by the name that tables give them, wherever they lie."""

from __future__ import annotations

from collections import defaultdict

from qoqdata.errors import DuplicateKey, MissingFile
from qoqdata.sources.protocol import Job


def photographs(job: Job, *suffixes: str) -> dict[str, list[str]]:
    """Paths by file stem, of files and of members of ZIP archives, in sorted order.

    An archive that was unpacked in its place is not read a second time: a file goes before a
    member of its name. Raises MissingFile where there is none.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files(*(f"*{suffix}" for suffix in suffixes)):
        found[stem(path)].append(path)
    packed: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files(*(f"*.zip#*{suffix}" for suffix in suffixes)):
        packed[stem(path)].append(path)
    images = packed | found
    if not images:
        fix = "fetch the images, and point --raw at the folder that holds them and the table"
        raise MissingFile("holds no image", where="the raw folder", fix=fix)
    return images


def only(paths: list[str], key: str) -> str:
    """The one path of an image; raises MissingFile and DuplicateKey."""
    if not paths:
        raise MissingFile("its image is not there", where=key, fix="fetch it, or drop the row")
    if len(paths) > 1:
        what = f"several files have this name: {', '.join(paths)}"
        raise DuplicateKey(what, where=key, fix="keep one of them")
    return paths[0]


def stem(path: str) -> str:
    """The name of a file without its folders and suffix."""
    return path.rpartition("#")[2].rpartition("/")[2].rpartition(".")[0]
