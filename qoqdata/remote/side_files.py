"""Files of a data set that its manifest gives no digest for: cards, statistics, verdicts.

They are kept in a folder with the data set's own layout. At every open a file is compared by what
the store says of it (ETag, checksum, blob id, version, modification time, with the size): the same,
and the kept copy stands; another, or a store that says nothing of the kind, and it is fetched anew;
gone, and the copy goes too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from qoqdata.atomic import replacing, write_json
from qoqdata.contract import statistics
from qoqdata.contract.manifest import Manifest
from qoqdata.errors import DatasetError
from qoqdata.parquet_memory import LARGEST_TABLE
from qoqdata.remote.faults import retried
from qoqdata.remote.transfer import fetch
from qoqdata.remote.urls import scheme, shown
from qoqdata.statistics.difficulty import PRIOR

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

#: The parts of a data set that are no shards.
#: What a layout holds unless it is asked for less; `quarantine` and `recipes` only by name.
PARTS = ("cards", "curation", "difficulty", "stats")

#: What file systems call the facts that change with a file's content.
_MARKS = (
    "Content-MD5",
    "Digest",
    "ETag",
    "Last-Modified",
    "LastModified",
    "VersionId",
    "blob_id",
    "checksum",
    "content_hash",
    "created",
    "crc32c",
    "etag",
    "generation",
    "last_modified",
    "md5Hash",
    "mtime",
    "updated",
    "xet_hash",
)
_THREADS = 8


def files_of(
    part: str, manifest: Manifest, system: AbstractFileSystem, root: str, url: str
) -> list[str]:
    """Paths of one part, relative to the data set; some may not exist.

    Difficulty tables are named after policies, so the store is asked for a list. Plain HTTP has
    none: over it only the label-entropy prior is looked for.
    """
    if part == "cards":
        recipes = manifest.release.recipes if manifest.release else ()
        return [f"cards/{slug}.json" for slug in (*manifest.sources, *recipes)]
    if part == "quarantine":
        return [f"quarantine/{slug}.parquet" for slug in manifest.sources]
    if part == "recipes":
        slugs = manifest.release.recipes if manifest.release else ()
        return [f"recipes/{slug}{suffix}" for slug in slugs for suffix in (".json", ".parquet")]
    if part == "curation":
        return ["curation/verdicts.parquet"]
    if part == "stats":
        return [
            f"stats/{table.name}.parquet" for table in (*statistics.TABLES, statistics.CONCEPTS)
        ]
    if part != "difficulty":
        raise ValueError(f"no part of a data set: {part!r}")
    if scheme(url) in ("http", "https"):
        return [f"difficulty/{PRIOR}.parquet"]
    return _listed(system, f"{root}/difficulty", f"{shown(url)}/difficulty")


def refresh(
    system: AbstractFileSystem, root: str, names: Iterable[str], *, folder: Path, url: str
) -> None:
    """Make `folder` hold the files `names` (relative to `root`) as they are in the store now.

    A name that the store does not have is absent afterwards. Raises DatasetError for a name that
    leaves the folder or a file that comes out short, and what `retried` raises.
    """

    def one(name: str) -> None:
        _refresh(system, f"{root}/{name}", folder / name, url=f"{url}/{name}")

    names = list(names)
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise DatasetError(f"names a file outside of itself: {name!r}", where=url)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="qoqdata-side") as pool:
        list(pool.map(one, names))


def tag(info: Mapping[str, Any]) -> dict[str, str] | None:
    """What identifies a file's content in a store's description of it; None when nothing does."""
    marks = {mark: str(info[mark]) for mark in _MARKS if info.get(mark) is not None}
    return marks | {"size": str(info.get("size"))} if marks else None


def _refresh(system: AbstractFileSystem, source: str, path: Path, *, url: str) -> None:
    note = path.with_name(f".{path.name}.tag")
    try:
        info = retried(lambda: system.info(source), url=url)
    except FileNotFoundError:
        note.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        return
    now = tag(info)
    if now is not None and path.is_file() and _noted(note) == now:
        return
    # The note comes after the file: when a fetch is cut off, the next open fetches again.
    note.unlink(missing_ok=True)
    try:
        with replacing(path) as draft:
            retried(lambda: _fetch(system, source, draft, info.get("size"), url), url=url)
    except FileNotFoundError:
        path.unlink(missing_ok=True)
        return
    if now is not None:
        write_json(note, now)


def _fetch(
    system: AbstractFileSystem, source: str, draft: Path, size: int | None, url: str
) -> None:
    most = LARGEST_TABLE if size is None else min(size, LARGEST_TABLE)
    fetch(system, source, draft, most=most, url=url)
    if size is not None and (length := draft.stat().st_size) != size:
        raise ConnectionError(f"{length} of {size} bytes came")


def _noted(note: Path) -> dict[str, str] | None:
    with suppress(OSError, ValueError):
        marks: dict[str, str] = json.loads(note.read_bytes())
        return marks
    return None


def _listed(system: AbstractFileSystem, folder: str, url: str) -> list[str]:
    try:
        paths = retried(lambda: system.ls(folder, detail=False), url=url)
    except FileNotFoundError:
        return []
    names = sorted(str(path).rstrip("/").rpartition("/")[2] for path in paths)
    return [f"difficulty/{name}" for name in names if name.endswith(".parquet")]
