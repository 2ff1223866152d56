"""What an annotation says of a study, and the questions that it answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import Split
from qoqdata.records.content import Region
from qoqdata.sources.asking import ask, ask_boxes, ask_choice, ask_number, ask_open, translate
from qoqdata.sources.card import task_of
from qoqdata.sources.protocol import Unit

#: Members of an annotation that belong to its study, not to one question about it.
SHARED = ("patient", "group", "split", "age", "sex")


@dataclass(frozen=True)
class Annotation:
    """What a row says; labels are raw.

    `answer` is the number of a quantity, one of `options`, or free text. `answers` is false where
    the row answers nothing.
    """

    labels: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    item: str | None = None
    question: str | None = None
    options: tuple[str, ...] | None = None
    answer: str | float | None = None
    answers: bool = True
    patient: str | None = None
    group: str | None = None
    split: Split | None = None
    age: int | None = None
    sex: str | None = None
    context: str | None = None

    def unit(self, key: str, files: tuple[str, ...], **facts: Any) -> Unit:
        """The unit of this annotation alone."""
        return annotated_unit(key, files, (self,), **facts)


def annotated_unit(
    key: str, files: tuple[str, ...], annotations: Sequence[Annotation], **facts: Any
) -> Unit:
    """The unit of a study's annotations, which agree about what they share."""
    first = annotations[0]
    group = first.group or first.patient
    own = {"questions": [_question(annotation) for annotation in annotations]}
    return Unit(key, files, group, first.patient, first.split, own | facts)


def answered(
    card: Card, task: str, unit: Unit, regions: Iterable[Region] = ()
) -> list[dict[str, Any]]:
    """The fields of a Record for each question of an annotated unit, in the order of its rows.

    As `ask` and its like give them, with item, age, sex and context. `regions` are what a task of
    kind boxes asks for.
    """
    found = tuple(regions)
    return [
        _fields(card, task, question, found, where=unit.key)
        | {name: question[name] for name in ("item", "age", "sex", "context")}
        for question in unit.facts["questions"]
    ]


def with_person(fields: dict[str, Any], age: int | None, sex: str | None) -> dict[str, Any]:
    """Fields of a Record with a header's age and sex where the annotation has none."""
    own = {"age": fields["age"], "sex": fields["sex"]}
    header = {"age": age, "sex": sex}
    return fields | {name: header[name] if own[name] is None else own[name] for name in own}


def _question(annotation: Annotation) -> dict[str, Any]:
    """The JSON values that a question and its answer need."""
    return {
        "labels": annotation.labels,
        "uncertain": annotation.uncertain,
        "absent": annotation.absent,
        "item": annotation.item,
        "question": annotation.question,
        "options": annotation.options,
        "answer": annotation.answer,
        "age": annotation.age,
        "sex": annotation.sex,
        "context": annotation.context,
    }


def _fields(
    card: Card, task: str, facts: dict[str, Any], regions: Iterable[Region], *, where: str
) -> dict[str, Any]:
    definition, question = task_of(card, task), facts["question"]
    if definition.kind == "choice":
        return ask_choice(card, task, facts["options"], facts["answer"], question=question)
    if definition.kind == "open":
        return ask_open(card, task, facts["answer"], question=question)
    if definition.kind == "boxes":
        return ask_boxes(card, task, regions, question=question)
    if definition.kind == "number" and not definition.ordinal:
        unit = definition.unit or ""
        return ask_number(card, task, facts["answer"], unit=unit, question=question)

    def options(raw_labels: Iterable[str]) -> list[str]:
        return [translate(card, raw, where=where, task=task) for raw in raw_labels]

    return ask(
        card,
        task,
        options(facts["labels"]),
        uncertain=options(facts["uncertain"]),
        absent=options(facts["absent"]),
        question=question,
    )
