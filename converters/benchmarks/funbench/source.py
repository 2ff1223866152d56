"""FunBench: what a fundus image shows, on four levels, for evaluation; without its hints."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from qoqdata.errors import BadLabel, BadTable, MissingFile
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Unit
from qoqdata.sources.rawtree import read_text

from ..lettered import convert_choice

#: Where images lie, by what a path in a task file starts from.
IMAGE_FOLDER = "datasets_preprocessed"
FOLDERS = ("", f"{IMAGE_FOLDER}/")
IMAGES = ("*.png", "*.jpg", "*.jpeg", "*.tif", "*.bmp")
LETTERS = "ABCDEFGH"
#: What the names of the 47 task files begin with.
TASKS = (
    *("L1a", "L1b", "L2a", "L2b"),
    *(f"L3{part}{lesion}" for part, lesions in zip("abcd", (12, 12, 11, 4), strict=True)
      for lesion in range(lesions)),
    *("L4a", "L4b", "L4c", "L4d"),
)  # fmt: skip


def plan(job: Job) -> Iterator[Planned]:
    """One unit a task file and image.

    A file states how many images it has; one that has fewer or more is refused as a whole. A task
    without its file is refused by its name.
    """
    files = job.raw.files("L*-*.json")
    if not files:
        raise MissingFile("there is no task file", where="FunBench", fix="fetch the JSON files")
    there = {PurePosixPath(file).name.partition("-")[0] for file in files}
    for task in TASKS:
        if task not in there:
            error = MissingFile(
                "the task file is not there", where=f"{task}-*.json", fix="fetch it"
            )
            yield Refused(task, error, split="test")
    unasked = set(job.raw.files(*IMAGES, under=IMAGE_FOLDER))
    for file in files:
        task = PurePosixPath(file).stem
        for path, entry in _entries(job, file).items():
            key = f"{task}/{path}"
            paths = (f"{folder}{path}" for folder in FOLDERS)
            image = next((one for one in paths if job.raw.exists(one)), None)
            unasked.discard(image or "")
            try:
                facts = _facts(entry, f"{file}, {path}")
            except (BadLabel, BadTable) as fault:
                yield Refused(key, fault, (image,) if image else (), split="test")
                continue
            if image is None:
                fix = "run the authors' preprocess.py on its source"
                error = MissingFile("the image is not there", where=path, fix=fix)
                yield Refused(key, error, group=path, split="test")
            else:
                yield Unit(key, (image,), group=path, split="test", facts=facts)
    for path in sorted(unasked):
        yield Filtered(path, "not_asked", "no task names this image", (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The record of the question."""
    return convert_choice(unit, job)


def _facts(entry: Any, where: str) -> dict[str, Any]:
    """Question, options and answer of `raw_data`, in which no prompt has been written yet.

    The prompts of the second mode describe what is to be seen. An answer that is a list holds all
    that apply.
    """
    raw = entry.get("raw_data") if isinstance(entry, Mapping) else None
    if not isinstance(raw, Mapping):
        raise BadTable("has no raw_data", where=where, fix="fetch the file again")
    question, options, answer = (raw.get(name) for name in ("question", "options", "gt"))
    if isinstance(options, list):
        options = dict(zip(LETTERS, options, strict=False))
    texts = isinstance(options, dict) and all(isinstance(one, str) for one in options.values())
    if not isinstance(question, str) or not question.strip() or not texts or not options:
        raise BadTable("has no question with options", where=where, fix="fetch the file again")
    answers = answer if isinstance(answer, list) else [answer]
    if not answers or not all(isinstance(one, str) and one.strip() for one in answers):
        raise BadLabel("has no answer", where=where)
    return {"question": question.strip(), "options": options, "answer": answer}


def _entries(job: Job, file: str) -> dict[str, Any]:
    fix = "fetch it again"
    try:
        content = json.loads(read_text(job.raw, file, limit=256 * 2**20))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadTable(f"is not JSON: {error}", where=file, fix=fix) from error
    info, data = (
        content.get(name) if isinstance(content, dict) else None for name in ("info", "data")
    )
    if not isinstance(data, dict) or not isinstance(info, dict):
        raise BadTable("lacks info or data", where=file, fix=fix)
    if (stated := info.get("number of images")) != len(data):
        what = f"states {stated} images and has {len(data)}"
        raise BadTable(what, where=file, fix=fix)
    return data
