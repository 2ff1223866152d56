"""SLAKE: short questions on radiology images, for evaluation; several on each image."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.contract.vocabulary import OTHER_DOMAIN, Split
from qoqdata.errors import BadTable, MissingKey, TornGroup
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask_choice, ask_open
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import read_text

PARTS: dict[Split, tuple[str, ...]] = {
    "train": ("train.json",),
    "validation": ("validation.json", "validate.json"),
    "test": ("test.json",),
}
FIELDS = ("img_name", "qid", "question", "answer", "q_lang", "answer_type", "modality", "location")
CHEST = frozenset({"Lung", "Chest_lung", "Chest_heart", "Chest_mediastinal"})
DOMAINS = {"CT": "ct", "MRI": "mri"}
#: Yes and no, as questions are answered: which of them belongs to a question tells its answer.
PAIRS = (
    ("Yes", "No"),
    ("是的", "不是"),
    ("包含", "不包含"),
    ("有", "没有"),
    ("可以", "不可以"),
    ("存在", "不存在"),
    ("正常", "不正常"),
)

#: Between the answers that a question lists: commas of both scripts, and "or".
LISTED = re.compile(r"[,\uff0c\u3001]|\bor\b|还是")

Question = dict[str, Any]


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image, with its questions; part, image and questions are joined by img_name."""
    parts: dict[str, set[Split]] = defaultdict(set)
    images: dict[str, list[Question]] = defaultdict(list)
    for split, names in PARTS.items():
        for row in _rows(job, next((n for n in names if job.raw.exists(n)), names[0])):
            parts[row["img_name"]].add(split)
            images[row["img_name"]].append(row)
    files = set(job.raw.files("source.jpg", under="imgs"))
    for name, rows in images.items():
        key, path = name.rpartition("/")[0] or name, f"imgs/{name}"
        files.discard(path)
        if len(parts[name]) > 1:
            what = f"has questions in {' and '.join(sorted(parts[name]))}"
            yield Refused(key, TornGroup(what, where=name), (path,))
            continue
        language = job.options["language"]
        asked = [{f: row[f] for f in FIELDS} for row in rows if language in (row["q_lang"], "both")]
        if not asked:
            yield Filtered(key, "other_language", f"no question in {language}", (path,))
            continue
        (split,) = parts[name]
        yield Unit(key, (path,), group=key, split=split, facts={"questions": asked})
    for path in sorted(files):
        yield Refused(path, MissingKey("no question names this image", where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """A record a question, all of the same image; the domain is that of the image."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    records: list[Converted] = []
    for row in unit.facts["questions"]:
        question, answer = row["question"].strip(), row["answer"].strip()
        closed = row["answer_type"] == "CLOSED"
        options = alternatives(question, answer) if closed else None
        task = "closed" if options else "closed_free" if closed else "open"
        if not question or not answer:
            records.append(Skipped(task, "empty", f"question {row['qid']} or its answer is empty"))
            continue
        if options:
            chosen = next(option for option in options if _same(option, answer))
            fields = ask_choice(job.card, task, options, chosen, question=question)
        else:
            fields = ask_open(job.card, task, answer, question=question)
        records.append(
            Record(
                **fields,
                item=str(row["qid"]),
                domain=domain(row["modality"], row["location"]),
                images=(image,),
                notes=notes,
            )
        )
    return records


def alternatives(question: str, answer: str) -> tuple[str, ...] | None:
    """The answers that a closed question allows: a pair, or what it lists after its first comma.

    None where that cannot be told, or where the answer is not one of them.
    """
    for pair in PAIRS:
        if any(_same(word, answer) for word in pair):
            return pair
    _, *rest = re.split("[,\uff0c]", question.rstrip("?\uff1f "), maxsplit=1)
    words = (word.strip() for word in LISTED.split(rest[0] if rest else ""))
    options = tuple(word[:1].upper() + word[1:] for word in words if word)
    fits = sum(_same(option, answer) for option in options) == 1
    return options if fits and len(set(options)) == len(options) > 1 else None


def domain(modality: str, location: str) -> str:
    """The domain of an image: a radiograph belongs to one when it is of the chest."""
    if modality == "X-Ray" and location in CHEST:
        return "chest_xray"
    return DOMAINS.get(modality, OTHER_DOMAIN)


def _rows(job: Job, name: str) -> list[Question]:
    try:
        rows = json.loads(read_text(job.raw, name))
    except json.JSONDecodeError as error:
        raise BadTable(f"is not JSON: {error}", where=name, fix="fetch it again") from error
    if not isinstance(rows, list) or not rows:
        raise BadTable("holds no list of questions", where=name, fix="fetch it again")
    for number, row in enumerate(rows):
        if missing := _missing(row):
            raise BadTable(f"question {number} lacks {missing}", where=name, fix="fetch it again")
    return rows


def _missing(row: object) -> str | None:
    """The first field that a question lacks; only its text and its answer may be blank."""
    if not isinstance(row, Mapping):
        return "its fields"
    for field in FIELDS:
        value = row.get(field)
        if not isinstance(value, int if field == "qid" else str):
            return field
        if value == "" and field not in ("question", "answer"):
            return field
    return None if row["answer_type"] in ("OPEN", "CLOSED") else "an answer_type, OPEN or CLOSED"


def _same(one: str, other: str) -> bool:
    return one.casefold().split() == other.casefold().split()
