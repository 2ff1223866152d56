"""Fundus photographs by name, and what their sources ask in the same way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from qoqdata.errors import DuplicateKey, MissingFile, MissingKey
from qoqdata.records.content import Image
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask
from qoqdata.sources.joining import Row
from qoqdata.sources.protocol import Job

PATTERNS = ("*.png", "*.jpg", "*.jpeg", "*.tif", "*.tiff")

Files = Mapping[str, Sequence[str]]


def stem(name: str) -> str:
    """The key of a photograph: its name without folder, suffix and case, which copies change."""
    path = PurePosixPath(name.strip())
    known = f"*{path.suffix.lower()}" in PATTERNS
    return (path.stem if known else path.name).lower()


def photographs(job: Job) -> dict[str, list[str]]:
    """The image files of a tree by key, in whichever folders they lie."""
    files: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files(*PATTERNS):
        files[stem(path)].append(path)
    return dict(files)


def one_file(files: Files, key: str) -> str:
    """The file of a key; raises MissingFile without one, DuplicateKey for several."""
    paths = files.get(key, ())
    if not paths:
        raise MissingFile("no such photograph", where=key, fix="fetch it, or drop its row")
    if len(paths) > 1:
        what = f"is the name of {len(paths)} files: {', '.join(paths)}"
        raise DuplicateKey(what, where=key, fix="keep the one that is the publisher's")
    return paths[0]


def one_row(rows: Sequence[Row], key: str, *, where: str) -> Row:
    """The row of a key in the table `where`; raises MissingKey and DuplicateKey."""
    if not rows:
        raise MissingKey(f"{where} has no row for this photograph", where=key)
    if len(rows) > 1:
        raise DuplicateKey(f"has {len(rows)} rows in {where}", where=key, fix="keep the right one")
    return rows[0]


def eye_image(path: str, job: Job, side: str | None = None) -> tuple[Image, tuple[str, ...]]:
    """The photograph and its notes; `side` of the person is left or right, None where unknown."""
    image, notes = image_from_file(job.raw.resolve(path), limits=job.limits)
    return replace(image, laterality=side), notes


def ask_side(job: Job, image: Image, side: str) -> dict[str, Any]:
    """Which eye a photograph is of; prompts caption their images, so this one has no side."""
    fields = ask(job.card, "laterality", [side.capitalize()])
    return fields | {"images": (replace(image, laterality=None),)}
