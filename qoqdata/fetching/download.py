"""Fetch the files of a source: each is whole and of its publisher's digest, or not there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qoqdata.errors import InputError, UnreadableFile
from qoqdata.fetching.channels import Algorithm, PublishedFile
from qoqdata.fetching.http import append_to
from qoqdata.progress import ProgressCallback, silent

#: Beside a file that is not whole yet; hidden, so that no listing of raw files has it.
PART = "part"
_CHUNK = 2**20


@dataclass(frozen=True)
class Fetched:
    """Paths below the raw folder: what came, what was there already, and what failed, with why.

    `unchecked` came and has no digest that its publisher states.
    """

    came: tuple[str, ...]
    kept: tuple[str, ...]
    unchecked: tuple[str, ...]
    failed: tuple[InputError, ...]


def fetch(
    files: Sequence[PublishedFile], folder: Path, progress: ProgressCallback = silent
) -> Fetched:
    """Fetch `files` into `folder`; `progress` hears of files and their total.

    A file that is there is kept where size and digest are its publisher's, and fetched anew where
    they are not. One that was cut is gone on with where a digest can tell that the parts belong
    together. The others go on when one fails.
    """
    came, kept, unchecked, failed = [], [], [], []
    for number, file in enumerate(files, 1):
        target = folder / file.path
        try:
            if target.is_file() and fault_of(target, file) is None:
                kept.append(file.path)
            else:
                _fetch_one(file, target)
                came.append(file.path)
                if file.digest is None:
                    unchecked.append(file.path)
        except InputError as error:
            failed.append(error)
        progress(number, len(files))
    return Fetched(tuple(came), tuple(kept), tuple(unchecked), tuple(failed))


def fault_of(path: Path, file: PublishedFile) -> str | None:
    """What differs between a file on disk and what its publisher says; None where nothing does."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"has {size:,} bytes, and its publisher says {file.size:,}"
    if file.algorithm is None or file.digest is None:
        return None
    same = _digest(path, file.algorithm, size) == file.digest
    return None if same else f"has another {file.algorithm} than its publisher states"


def _digest(path: Path, algorithm: Algorithm, size: int) -> str:
    total = hashlib.new("sha1" if algorithm == "git" else algorithm)
    if algorithm == "git":
        total.update(b"blob %d\0" % size)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()


def _fetch_one(file: PublishedFile, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{PART}")
    resumed = part.is_file() and file.digest is not None
    if not resumed:
        part.unlink(missing_ok=True)
    append_to(part, file.url, lambda count: None)
    fault = fault_of(part, file)
    if fault is not None and resumed:
        # The beginning may have been of another release: once from the start.
        part.unlink()
        append_to(part, file.url, lambda count: None)
        fault = fault_of(part, file)
    if fault is not None:
        part.unlink()
        raise UnreadableFile(f"what came {fault}", where=file.url, fix="fetch it again later")
    part.replace(target)
