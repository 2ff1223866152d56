"""Questions with lettered options, of which one or several are right, in files of benchmarks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from qoqdata.errors import BadLabel, BadTable
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, ask_choice
from qoqdata.sources.protocol import Converted, Job, Unit
from qoqdata.sources.rawtree import read_text

#: Tasks of questions with one right option, and of those that ask for all that are right.
TASK, SEVERAL = "choice", "several"
#: A letter that some files print before an option: "A: text", "(B) text", "C. text".
_OWN_LETTER = re.compile(r"\s*(?:\(([A-Z])\)|([A-Z])\s*[.:)])\s*")


def bare_options(options: Mapping[str, str | None], *, where: str) -> dict[str, str]:
    """Options by letter from A on, without letters printed before them; blank ones are left out.

    A letter is taken off only where every option prints its own. Raises BadLabel for letters with
    a gap, which would shift the right answer.
    """
    texts = {letter: text.strip() for letter, text in options.items() if text and text.strip()}
    texts = dict(sorted(texts.items()))
    if list(texts) != [chr(ord("A") + place) for place in range(len(texts))]:
        raise BadLabel(f"options {', '.join(texts)} leave a letter out", where=where)
    printed = {letter: _OWN_LETTER.match(text) for letter, text in texts.items()}
    if all(match and (match[1] or match[2]) == letter for letter, match in printed.items()):
        texts = {letter: _OWN_LETTER.sub("", text, count=1) for letter, text in texts.items()}
    return texts


def right_option(options: Mapping[str, str], answer: str, *, where: str) -> str:
    """The option that an answer names, by its letter or in its words.

    Raises BadLabel for one that names none, or two: an option that is called "B" in its words too.
    """
    named = {text for letter, text in options.items() if answer.strip().upper() == letter}
    named |= {text for text in options.values() if text.casefold() == answer.strip().casefold()}
    if len(named) != 1:
        raise BadLabel(f"the answer {answer!r} names {len(named)} options", where=where)
    return named.pop()


def right_letters(
    options: Mapping[str, str], answers: Iterable[str], *, where: str
) -> tuple[str, ...]:
    """The letters of the options that answers name, each by its letter or in its words, in order.

    Raises BadLabel for an answer that names no option, or two, and for one that is there twice.
    """
    texts = [right_option(options, answer, where=where) for answer in answers]
    if len(set(texts)) < len(texts):
        raise BadLabel(f"{texts} names an option twice", where=where)
    return tuple(letter for letter, text in options.items() if text in texts)


def convert_choice(
    unit: Unit, job: Job, *, domain: Callable[[Mapping[str, Any]], str] | None = None
) -> list[Converted]:
    """The record of a unit: `facts` hold question, options by letter, and answer.

    An answer that is a list asks for all that are right. Options of such a question stand in it
    with their letters, which are what is answered: their words may hold what joins answers.
    """
    facts = unit.facts
    options = bare_options(facts["options"], where=unit.key)
    if isinstance(facts["answer"], list):
        right = right_letters(options, facts["answer"], where=unit.key)
        listed = [f"{letter}. {text}" for letter, text in options.items()]
        fields = ask(
            job.card,
            SEVERAL,
            right,
            absent=set(options) - set(right),
            question="\n".join([*listed, facts["question"]]),
            offered=options,
        )
    else:
        answer = right_option(options, facts["answer"], where=unit.key)
        fields = ask_choice(job.card, TASK, options.values(), answer, question=facts["question"])
    shown = [image_from_file(job.raw.resolve(file), limits=job.limits) for file in unit.files]
    record = Record(
        **fields,
        domain=domain(facts) if domain else job.card.domain,
        images=tuple(image for image, _ in shown),
        notes=tuple(dict.fromkeys(note for _, notes in shown for note in notes)),
    )
    return [record]


def json_rows(job: Job, file: str, fields: Mapping[str, type]) -> list[dict[str, Any]]:
    """The rows of a JSON list or of JSON lines, which have `fields` of these types, not blank.

    Raises BadTable, which names the row and the field, and for a file without rows.
    """
    text = read_text(job.raw, file, limit=256 * 2**20)
    fix = "fetch it again"
    try:
        lines = text.lstrip().startswith("{")
        rows = [json.loads(line) for line in text.split("\n") if line.strip()] if lines else None
        rows = json.loads(text) if rows is None else rows
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadTable(f"is not JSON: {error}", where=file, fix=fix) from error
    if not isinstance(rows, list) or not rows:
        raise BadTable("holds no list of questions", where=file, fix=fix)
    for number, row in enumerate(rows):
        for field, kind in fields.items():
            value = row.get(field) if isinstance(row, Mapping) else None
            if not isinstance(value, kind) or not value:
                raise BadTable(f"question {number} lacks {field}", where=file, fix=fix)
    return rows
