"""From a folder or a URL to a manifest and the files that it names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from qoqdata import json_document
from qoqdata import manifest as manifests
from qoqdata.atomic import replacing
from qoqdata.contract.manifest import Manifest
from qoqdata.errors import DatasetError
from qoqdata.json_document import parse_json
from qoqdata.remote.cache import Cache
from qoqdata.remote.faults import retried
from qoqdata.remote.files import Files, LocalFiles
from qoqdata.remote.links import refuse_links
from qoqdata.remote.urls import file_system, local_path, shown

#: In a folder of releases, the file that names the present one.
POINTER = "current.json"


def open_files(
    root: str | Path,
    *,
    cache: str | Path | None = None,
    cache_bytes: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
) -> tuple[Files, Manifest]:
    """The files and the manifest of the data set at `root`, a folder or any fsspec URL.

    The manifest of a URL is fetched at every open, the rest when it is asked for. Raises
    DatasetError when there is no data set or its store stays out of reach, UsageError for a URL
    that nothing can read, for missing credentials and for a bad cache size.
    """
    path = local_path(root)
    if path is not None:
        path = _current_folder(path)
        if path.is_dir():
            refuse_links(path)
        manifest = manifests.read_manifest(path)
        return LocalFiles(path, manifest), manifest
    from qoqdata.remote.remote_files import RemoteFiles, set_folder

    url = str(root).rstrip("/")
    store = Cache.settled(cache, cache_bytes)
    options = dict(storage_options or {})
    url, content = _manifest(url, options)
    manifest = manifests.parse_manifest(content, where=f"{shown(url)}/manifest.json")
    folder = set_folder(store, url, content)
    with store.guarded(folder.name), replacing(folder / "manifest.json") as draft:
        draft.write_bytes(content)
    return RemoteFiles(url, manifest, folder, store, options), manifest


def _current_folder(path: Path) -> Path:
    """The release that a folder of releases points to; any other folder as it is."""
    pointer = path / POINTER
    if (path / "manifest.json").exists() or not pointer.is_file():
        return path
    return path / _release(pointer.read_bytes(), where=str(pointer))


def _release(pointer: bytes, *, where: str) -> str:
    try:
        name = parse_json(pointer)["release"]
    except (ValueError, TypeError, KeyError):
        name = None
    # A name is one folder: a pointer leads nowhere else.
    if not isinstance(name, str) or not re.fullmatch(r"\d+\.\d+\.\d+", name):
        raise DatasetError("does not point to a release", where=where, fix="publish again")
    return name


def _manifest(url: str, options: Mapping[str, Any]) -> tuple[str, bytes]:
    """The manifest and the URL of the data set, which a folder of releases points to."""
    try:
        return url, _fetch(url, "manifest.json", options)
    except FileNotFoundError as error:
        try:
            pointer = _fetch(url, POINTER, options)
        except FileNotFoundError:
            fix = "check the URL, and the revision if it names one"
            raise DatasetError("there is no such data set", where=shown(url), fix=fix) from error
    url = f"{url}/{_release(pointer, where=f'{shown(url)}/{POINTER}')}"
    try:
        return url, _fetch(url, "manifest.json", options)
    except FileNotFoundError as error:
        what, fix = f"{POINTER} names it, and it is not there", "publish again"
        raise DatasetError(what, where=shown(url), fix=fix) from error


def _fetch(url: str, name: str, options: Mapping[str, Any]) -> bytes:
    from qoqdata.remote.transfer import fetch

    system, inside = file_system(url, options)
    # fsspec remembers listings for as long as the process lives; an open looks anew.
    system.invalidate_cache()
    where = f"{shown(url)}/{name}"

    def attempt(target: Path) -> bytes:
        fetch(system, f"{inside}/{name}", target, most=json_document.LARGEST, url=where)
        return target.read_bytes()

    with TemporaryDirectory(prefix="qoqdata-") as folder:
        return retried(lambda: attempt(Path(folder, name)), url=url)
