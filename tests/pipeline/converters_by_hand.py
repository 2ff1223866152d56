"""Sources made of two functions, to say what a build makes of a right or a wrong converter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Manifest
from qoqdata.pipeline import progress
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask
from qoqdata.sources.protocol import Job, Planned, Source, Unit
from tests.contract.test_card import CONTENT
from tests.pipeline.conftest import SALT

TASKS = CONTENT["tasks"] | {
    "view": {"kind": "single", "question": "Which view?", "options": ["Frontal", "Lateral"]},
    "signs": {"kind": "multi", "question": "Which signs?", "options": ["Mass", "Cyst"]},
    "size": {"kind": "number", "question": "How wide?", "unit": "mm", "tolerance": 1},
    "report": {"kind": "open", "question": "Describe it."},
}


def plan(job: Job) -> Iterator[Planned]:
    """One unit a text file, all of them in one split."""
    for path in job.raw.files("*.txt"):
        yield Unit(path, (path,), split="train")


def convert(unit: Unit, job: Job) -> list[Record]:
    """One question about each text."""
    return [Record(**ask(job.card, "diagnosis", ["Clear"]), context=unit.key)]


def source(
    plan: Callable[..., Any] = plan,
    convert: Callable[..., Any] = convert,
    configure: Callable[..., Any] | None = None,
    **changes: Any,
) -> Source:
    """A source of these functions; changes are those of its card."""
    card = Card.model_validate(CONTENT | {"tasks": TASKS} | changes)
    zeros = "0" * 64
    return Source(card, Path(__file__).parent, __name__, plan, convert, configure, zeros, zeros)


def raw_texts(folder: Path, count: int = 3) -> Path:
    """A raw folder of `count` texts, a.txt and so on."""
    folder.mkdir(parents=True)
    for letter in "abcdefgh"[:count]:
        (folder / f"{letter}.txt").write_text(letter)
    return folder


def build(
    folder: Path, *sources: Source, workers: int = 0, events: list | None = None, **config: Any
) -> Manifest:
    """Build sources into `folder`/set, each from a folder of three texts."""
    requests = []
    for number, one in enumerate(sources):
        raw = folder / f"raw-{number}"
        mapping = None if one.configure is None else {"slug": one.card.slug}
        request = SourceRequest(
            source=one.card.slug, raw=raw if raw.is_dir() else raw_texts(raw), mapping=mapping
        )
        requests.append((one, request))
    listen = progress.silent if events is None else events.append
    setting = BuildSetting(SALT, workers=workers, listen=listen)
    asked = BuildConfig(sources=tuple(request for _, request in requests), **config)
    return build_requests(requests, folder / "set", setting, asked)


def left_out(folder: Path, slug: str = "films") -> dict[str, dict[str, Any]]:
    """The rows of the quarantine table by unit; none, no file."""
    path = folder / "set" / "quarantine" / f"{slug}.parquet"
    return {row["unit"]: row for row in pl.read_parquet(path).to_dicts()} if path.exists() else {}
