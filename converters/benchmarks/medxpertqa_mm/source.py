"""MedXpertQA MM: expert questions with up to six images and five options, for evaluation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, DuplicateKey, MissingFile
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Unit

from ..lettered import convert_choice, json_rows

PARTS: dict[Split, str] = {"validation": "MM/dev.jsonl", "test": "MM/test.jsonl"}
FIELDS = {"id": str, "question": str, "label": str, "images": list}
#: The options stand behind the question too; printed twice, they would be shown twice.
_PRINTED = re.compile(r"\s*Answer Choices:\s*\(A\).*", re.DOTALL)


def plan(job: Job) -> Iterator[Planned]:
    """One unit a question, with all of its images; one without any of them is refused."""
    seen: set[str] = set()
    for split, file in PARTS.items():
        for number, row in enumerate(json_rows(job, file, FIELDS)):
            key, where = row["id"], f"{file}, question {number}"
            if key in seen:
                yield Refused(f"{key}, again", DuplicateKey(f"{key} is there twice", where=where))
                continue
            seen.add(key)
            images = tuple(f"images/{name}" for name in row["images"])
            if lost := [image for image in images if not job.raw.exists(image)]:
                error = MissingFile("an image of the question is not there", where=lost[0])
                yield Refused(key, error, tuple(images), split=split)
                continue
            question = _PRINTED.sub("", row["question"]).strip()
            options = _options(row.get("options"), where)
            facts = {"question": question, "options": options, "answer": row["label"]}
            yield Unit(key, images, split=split, facts=facts)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The record of the question."""
    return convert_choice(unit, job)


def _options(options: Any, where: str) -> dict[str, str]:
    """By letter, from a list of {letter, content} or a mapping."""
    if isinstance(options, list) and all(isinstance(one, Mapping) for one in options):
        options = {one.get("letter"): one.get("content") for one in options}
    if not isinstance(options, dict) or not all(
        isinstance(text, str) for pair in options.items() for text in pair
    ):
        raise BadTable("has no options by letter", where=where, fix="fetch the file again")
    return options
