"""Which files make up the parts of a data set that are no shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qoqdata.contract import statistics
from qoqdata.contract.manifest import Manifest
from qoqdata.remote.retry import retried
from qoqdata.remote.urls import scheme, shown
from qoqdata.statistics import prior

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

#: What a layout holds unless it is asked for less; `quarantine` and `recipes` only by name.
NAMES = ("cards", "curation", "difficulty", "stats")


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
        return [f"stats/{table.name}.parquet" for table in statistics.TABLES]
    if part != "difficulty":
        raise ValueError(f"no part of a data set: {part!r}")
    if scheme(url) in ("http", "https"):
        return [f"difficulty/{prior.POLICY}.parquet"]
    return _listed(system, f"{root}/difficulty", f"{shown(url)}/difficulty")


def _listed(system: AbstractFileSystem, folder: str, url: str) -> list[str]:
    try:
        paths = retried(lambda: system.ls(folder, detail=False), url=url)
    except FileNotFoundError:
        return []
    names = sorted(str(path).rstrip("/").rpartition("/")[2] for path in paths)
    return [f"difficulty/{name}" for name in names if name.endswith(".parquet")]
