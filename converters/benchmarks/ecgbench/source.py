"""ECGBench: questions on pictures of ECGs, in eight of its nine parts, for evaluation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from qoqdata.errors import BadLabel, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, ask_open
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Unit

from ..dialogue import first_turns
from ..short_answers import shards


class Part(NamedTuple):
    """The task of a part's questions, and the column of their keys."""

    task: str
    key: str = "id"


PARTS = {
    "ptb-test": Part("ptb"),
    "cpsc-test": Part("cpsc"),
    "code15-test": Part("code15"),
    "csn-test-no-cot": Part("csn"),
    "g12-test-no-cot": Part("g12"),
    "mmmu-ecg": Part("mmmu", "No"),
    "ecgqa-test": Part("ecgqa"),
    "ptb-test-report": Part("report"),
}
#: An answer that begins with its letter: "B", "B.", "(B) atrial flutter".
_LETTER = re.compile(r"\(?([A-H])(?![A-Za-z])")


def plan(job: Job) -> Iterator[Planned]:
    """One unit a question; a part that is lost, or cannot be read, is refused by name."""
    for name, part in PARTS.items():
        try:
            files = shards(job, "test", under=name)
        except MissingFile as error:
            yield Refused(name, error, split="test")
            continue
        seen: set[str] = set()
        for file in files:
            yield from _rows(job, name, part, file, seen)


def _rows(job: Job, name: str, part: Part, file: str, seen: set[str]) -> Iterator[Planned]:
    try:
        table = job.raw.parquet(file, columns=[part.key, "image_path", "conversations"])
    except InputError as error:
        yield Refused(file, error, (file,), split="test")
        return
    for row, cells in enumerate(table.iter_rows(named=True)):
        member, where = f"{file}#image[{row}]", f"{file}, row {row}"
        own = str(cells[part.key] or "").strip()
        key = f"{name}/{own}" if own else f"{name}, row {row}"
        try:
            if not own:
                raise MissingKey(f"the row has no {part.key}", where=where)
            if key in seen:
                key = f"{key}, again"
                raise DuplicateKey("the question is there twice", where=where)
            turns = first_turns(cells["conversations"], where=where)
        except InputError as error:
            yield Refused(key, error, (member,), split="test")
            continue
        seen.add(key)
        facts = {"task": part.task, "question": turns.question, "answers": list(turns.answers)}
        group = _recording(cells["image_path"]) or key
        yield Unit(key, (member,), group=group, split="test", facts=facts)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The record of a question, in the words of ECGBench."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    fields = _asked(unit, job)
    return [Record(**fields, domain=job.card.domain, images=(image,), notes=notes)]


def _asked(unit: Unit, job: Job) -> dict[str, Any]:
    task, answers = unit.facts["task"], unit.facts["answers"]
    definition, question = job.card.tasks[task], unit.facts["question"]
    text = ", ".join(answers)
    if definition.kind == "open":
        return ask_open(job.card, task, text, question=question)
    if definition.kind == "multi":
        labels = labels_in(text, definition.options or ())
    else:
        labels = [match[1]] if (match := _LETTER.match(text)) else []
    if not labels:
        what = f"the answer {text[:60]!r} names no option of the part"
        raise BadLabel(what, where=unit.key, fix="fetch the table again")
    return ask(job.card, task, labels, question=question)


def labels_in(text: str, options: tuple[str, ...]) -> list[str]:
    """The options that stand in a text as whole words; of those that share words the longest.

    ABNORMAL is no NORM, and IMI no MI.
    """
    longest = sorted(options, key=len, reverse=True)
    word = re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, longest)) + r")(?![\w-])")
    return [option for option in options if option in set(word.findall(text))]


def _recording(path: str | None) -> str | None:
    """Set and recording of a picture: csn/JS00012-0.png is of csn/JS00012."""
    if not path:
        return None
    folder, _, name = path.rpartition("/")
    return f"{folder.partition('/')[0]}/{name.rpartition('.')[0].partition('-')[0]}"
