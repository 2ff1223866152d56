"""What of a collection lies on a disk and can be built, and what is missing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qoqdata.collection.collection import Collection, CollectionPart
from qoqdata.contract.card import Card
from qoqdata.errors import UsageError
from qoqdata.pipeline.config import BuildConfig, parse_config


@dataclass(frozen=True)
class Survey:
    """The parts of a collection in its order.

    present  parts whose folder lies below the raw folder, and that folder
    missing  parts that this installation can build, and that do not lie there
    unknown  parts of which the catalogue of this installation has no card, whether they lie there
             or not
    """

    collection: Collection
    raw: Path
    present: dict[str, Path]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def present_records(self) -> int:
        """Published records of the sources that are present."""
        return sum(
            part.published.records
            for part in self.collection.parts
            if part.published and part.source in self.present
        )

    @property
    def share(self) -> float:
        """`present_records` of the published records of all sources, 0 to 1."""
        return self.present_records / self.collection.published_records


def take_stock(collection: Collection, raw: Path, cards: Mapping[str, Card]) -> Survey:
    """Look below `raw` for the folders of the collection; an empty one counts as missing.

    Raises UsageError where `raw` is no folder, and where two folders hold one source: which of them
    is meant cannot be told.
    """
    if not raw.is_dir():
        raise UsageError("is no folder", where=str(raw), fix="name the parent of the raw folders")
    present: dict[str, Path] = {}
    missing, unknown = [], []
    for part in collection.parts:
        folder = _folder(part, raw)
        if part.source not in cards:
            unknown.append(part.source)
        elif folder is None:
            missing.append(part.source)
        else:
            present[part.source] = folder
    return Survey(collection, raw, present, tuple(missing), tuple(unknown))


def build_config(survey: Survey) -> BuildConfig:
    """The build of what is present, with the collection's options.

    Raises UsageError where nothing is.
    """
    name = survey.collection.name
    if not survey.present:
        folders = ", ".join(part.folders[0] for part in survey.collection.parts[:3])
        fix = f"expected are folders such as {folders}; `qoqdata sources SLUG` says how to get each"
        raise UsageError(f"holds no source of {name}", where=str(survey.raw), fix=fix)
    options = {part.source: part.options for part in survey.collection.parts}
    requests = [
        {"source": slug, "raw": folder, "options": options[slug]}
        for slug, folder in survey.present.items()
    ]
    return parse_config({"name": name, "sources": requests}, where=name)


def _folder(part: CollectionPart, raw: Path) -> Path | None:
    found = [raw / name for name in part.folders if _holds_something(raw / name)]
    # One folder under two names, by a link, is one.
    if len({folder.resolve() for folder in found}) > 1:
        names = " and ".join(str(folder.relative_to(raw)) for folder in found)
        what = f"{part.source} lies in {names}"
        raise UsageError(what, where=str(raw), fix="move one of them away")
    return found[0] if found else None


def _holds_something(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(not entry.name.startswith(".") for entry in entries)
