"""VQA-RAD and PathVQA: what is closed, what a row is known by, and that a part is whole."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import MissingFile
from qoqdata.records.content import Record
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Converted, Job, Refused, Skipped, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("vqa_rad")
CODE = importlib.import_module(SOURCE.module)
HUB = importlib.import_module(f"{SOURCE.module.rsplit('.', 2)[0]}.hub_table")

IMAGE = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)


def tree(raw: Path, *test: tuple[Any, str | None, str | None]) -> Job:
    rows = [HUB.ShortQuestion(*row) for row in test]
    HUB.write_hub_table(raw / "data/train-00000-of-00001.parquet", rows[:1])
    HUB.write_hub_table(raw / "data/test-00000-of-00001-0123abcd.parquet", rows)
    return Job(SOURCE.card, open_raw(raw))


def converted(job: Job, *, split: str = "test") -> list[Converted]:
    units = [one for one in CODE.plan(job) if isinstance(one, Unit) and one.split == split]
    return [record for unit in units for record in CODE.convert(unit, job)]


def test_yes_and_no_are_a_choice_and_words_that_hold_them_are_not(tmp_path: Path) -> None:
    """The public scoring takes "no" out of "normal": here only the whole answer counts."""
    job = tree(
        tmp_path,
        (IMAGE, "Is it large?", "yes"),
        (IMAGE, "Is it small?", "No "),
        (IMAGE, "How is it?", "normal"),
    )
    records = [one for one in converted(job) if isinstance(one, Record)]
    assert [(one.task, one.answer, one.options) for one in records] == [
        ("closed", "Yes", ("Yes", "No")),
        ("closed", "No", ("Yes", "No")),
        ("open", "normal", None),
    ]
    assert records[0].forms == ("Is it large? Choose exactly one:\nYes\nNo",)


def test_one_image_is_one_unit_and_a_repeated_row_counts_twice(tmp_path: Path) -> None:
    job = tree(tmp_path, *[(IMAGE, "Is it large?", "yes")] * 2, (IMAGE, " ", "no"))
    (unit,) = [one for one in CODE.plan(job) if one.split == "test"]
    first, second, blank = CODE.convert(unit, job)
    assert second.item == f"{first.item}-2"
    assert isinstance(blank, Skipped)


def test_the_parts_share_an_image_and_keep_their_questions(tmp_path: Path) -> None:
    job = tree(tmp_path, (IMAGE, "Is it large?", "yes"), (IMAGE, "Where?", "left"))
    units = list(CODE.plan(job))
    assert {(one.split, len(one.facts["questions"])) for one in units} == {
        ("train", 1),
        ("test", 2),
    }


def test_an_image_that_is_not_there_is_refused(tmp_path: Path) -> None:
    job = tree(tmp_path, (None, "Is it large?", "yes"))
    assert all(isinstance(one, Refused) for one in CODE.plan(job))


def test_a_part_without_one_of_its_files_is_refused(tmp_path: Path) -> None:
    job = tree(tmp_path, (IMAGE, "Is it large?", "yes"))
    data = tmp_path / "data"
    (data / "train-00000-of-00001.parquet").rename(data / "train-00001-of-00002.parquet")
    with pytest.raises(MissingFile, match="the part train has 1 of its 2 files"):
        list(CODE.plan(job))
