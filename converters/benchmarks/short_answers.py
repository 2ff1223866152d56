"""Short questions on images, in Parquet tables as the Hugging Face Hub has them.

`PART-00000-of-00002.parquet` holds the columns image (a struct with `bytes`), question and answer.
Rows have no key, so the image's bytes are one: a unit is an image of a part, with all that the
part asks about it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, InputError, MissingFile
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask_choice, ask_open
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

YES_NO = ("Yes", "No")
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})[^/]*\.parquet$")


def plan_images(job: Job, parts: Mapping[Split, str]) -> Iterator[Planned]:
    """A unit an image of each part, with its questions; the split is the part's.

    Planning reads all images once, for their digests. Raises MissingFile for a part of which a file
    is missing, and BadTable for cells that are no text.
    """
    for split, part in parts.items():
        files: dict[str, str] = {}
        asked: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for file in shards(job, part):
            table = job.raw.parquet(file, columns=["question", "answer"], empty=True)
            for row, facts in enumerate(table.iter_rows(named=True)):
                if any(not isinstance(value, str | None) for value in facts.values()):
                    raise BadTable("holds a question that is no text", where=file)
                member = f"{file}#image[{row}]"
                try:
                    key = f"{part}/{job.raw.digest([member])[:24]}"
                except InputError as error:
                    yield Refused(f"{part}/{member}", error, (member,), split=split)
                    continue
                files.setdefault(key, member)
                asked[key].append(facts)
        for key, file in files.items():
            yield Unit(key, (file,), split=split, facts={"questions": asked[key]})


def convert_image(unit: Unit, job: Job) -> list[Converted]:
    """A record a question; one that is blank, or whose answer is, is skipped."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    records: list[Converted] = []
    seen: dict[str, int] = defaultdict(int)
    for row in unit.facts["questions"]:
        question, answer = ((row[name] or "").strip() for name in ("question", "answer"))
        item = sha256(f"{question}\0{answer}".encode()).hexdigest()[:16]
        seen[item] += 1
        if seen[item] > 1:
            # The same row again is counted by the benchmark too.
            item = f"{item}-{seen[item]}"
        if not question or not answer:
            message = f"a question of {unit.key}, or its answer, is empty"
            records.append(Skipped("open", "empty", message, item))
            continue
        fields = short_answer(job, question, answer)
        domain = job.card.domain
        records.append(Record(**fields, item=item, domain=domain, images=(image,), notes=notes))
    return records


def short_answer(job: Job, question: str, answer: str) -> dict[str, Any]:
    """Yes-or-no questions as a choice (task `closed`), all others as they are (task `open`)."""
    if answer.casefold() in ("yes", "no"):
        return ask_choice(job.card, "closed", YES_NO, answer.capitalize(), question=question)
    return ask_open(job.card, "open", answer, question=question)


def shards(job: Job, part: str, *, under: str = "") -> list[str]:
    """The files `part-00000-of-00002.parquet` and on, below a folder.

    Raises MissingFile for a part of which one is lost.
    """
    names = job.raw.files(f"{part}-*.parquet", under=under)
    files = [file for file in names if _SHARD.search(file)]
    numbers = [match for file in files if (match := _SHARD.search(file))]
    found = [(int(match[1]), int(match[2])) for match in numbers]
    whole = found[0][1] if found else 1
    if found != [(number, whole) for number in range(whole)]:
        what = f"the part {part} has {len(found)} of its {whole} files"
        where = f"{under or 'data'}/{part}-*.parquet"
        raise MissingFile(what, where=where, fix="fetch all files of the folder")
    return files
