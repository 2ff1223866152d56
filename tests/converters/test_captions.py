"""Prompts caption images with their view and side: no question about them shows the caption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qoqdata.sources.catalogue import cards, folders

#: What tasks of these names ask for; those that compare two sides must name both.
ASKING = {
    "view": ("view",),
    "projection": ("view", "laterality"),
    "laterality": ("laterality",),
}
CASES = [
    (slug, task, ASKING[task])
    for slug, card in cards().items()
    for task in card.tasks
    if task in ASKING
]


def _records(slug: str, task: str) -> Iterator[dict[str, Any]]:
    path: Path = folders()[slug] / "example" / "expected.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        if (record := json.loads(line))["task"] == task:
            yield record


@pytest.mark.parametrize(("slug", "task", "facts"), CASES)
def test_a_caption_does_not_tell_the_answer(slug: str, task: str, facts: tuple[str, ...]) -> None:
    records = list(_records(slug, task))
    assert records
    told = {info[fact] for record in records for info in record["image_info"] for fact in facts}
    assert told == {None}
