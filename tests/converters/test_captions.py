"""Prompts caption images with their view and side: no question about them shows the caption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qoqdata.sources.catalogue import cards, folders

#: Words of a task's name that ask for what a caption tells.
ASKING = {"view": "view", "projection": "view", "laterality": "laterality", "eye": "laterality"}
#: Tasks that compare sides name the side of neither image.
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


@pytest.mark.parametrize(("slug", "task", "fact"), CASES)
def test_a_caption_does_not_tell_the_answer(slug: str, task: str, fact: str) -> None:
    records = list(_records(slug, task))
    assert records
    assert {info[fact] for record in records for info in record["image_info"]} == {None}
