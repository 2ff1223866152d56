"""Toy sources: a table of studies, each a line of text with one open question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Manifest
from qoqdata.pipeline import progress
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.records.content import Record
from qoqdata.records.identity import Salt
from qoqdata.sources.protocol import Job, Planned, Source, Unit
from tests.contract.test_card import CONTENT
from tests.pipeline.conftest import SALT

NOTE = {"note": {"kind": "open", "question": "What follows?"}}


def plan(job: Job) -> Iterable[Planned]:
    table = job.raw.csv("studies.csv", columns=["key", "patient", "split"])
    for key, patient, split in table.select("key", "patient", "split").iter_rows():
        yield Unit(key, (f"{key}.txt",), group=patient, patient=patient, split=split)


def convert(unit: Unit, job: Job) -> list[Record]:
    text = job.raw.resolve(unit.files[0]).read_text()
    return [Record("note", "open", ("What follows?",), "Nothing.", context=text)]


def toy(slug: str, convert: Callable[[Unit, Job], list[Record]] = convert, **card: Any) -> Source:
    """A source with the card of CONTENT, with `card` in place of its fields."""
    content = CONTENT | {"slug": slug, "name": slug, "tasks": NOTE, "labels": {}} | card
    made = Card.model_validate(content)
    return Source(made, Path("/nowhere"), "tests.pipeline.toys", plan, convert, None, "", "0" * 64)


def keys(namespace: str | None = None) -> dict[str, Any]:
    return {"study": "key", "patient": "patient", "group": "patient", "namespace": namespace}


def raw_tree(folder: Path, studies: Iterable[tuple[str, str, str]], **tables: str) -> Path:
    """A raw folder of studies (key, patient, official split or ""); `tables` are CSV texts."""
    folder.mkdir(parents=True)
    lines = ["key,patient,split"]
    for study in studies:
        lines.append(",".join(study))
        (folder / f"{study[0]}.txt").write_text(f"The study {study[0]}.")
    (folder / "studies.csv").write_text("\n".join(lines) + "\n")
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def run(
    out: Path,
    *sources: tuple[Source, Path],
    mounts: dict[str, Path] | None = None,
    events: list[progress.Event] | None = None,
    salt: Salt = SALT,
    **config: Any,
) -> Manifest:
    """Build sources from their raw folders, in this process."""
    requests = [
        (source, SourceRequest(source=source.card.slug, raw=raw, mounts=mounts or {}))
        for source, raw in sources
    ]

    def listen(event: progress.Event) -> None:
        if events is not None:
            events.append(event)

    return build_requests(
        requests,
        out,
        BuildSetting(salt, workers=0, listen=listen),
        BuildConfig(sources=tuple(request for _, request in requests), **config),
    )


def messages(events: Sequence[progress.Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, progress.Warned)]
