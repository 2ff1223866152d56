"""What an annotation says of a study, and the questions that it answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import Split
from qoqdata.records.content import Region
from qoqdata.sources.asking import ask, ask_boxes, ask_choice, ask_number, ask_open, translate
from qoqdata.sources.card import task_of
from qoqdata.sources.protocol import Unit

#: Members of an annotation that belong to its study, not to one question about it.
SHARED = ("patient", "group", "split", "age", "sex")
#: Members of a question that its record takes as they are.
_TOLD = ("item", "age", "sex", "context")
_STATES = ("labels", "uncertain", "absent")


class Annotation(NamedTuple):
    """What a row says; labels are raw.

    `answer` is the number of a quantity, one of `options`, or free text. `answers` is false where
    the row answers nothing. Members up to `context` are those that a question needs.
    """

    labels: tuple[str, ...] = ()
    uncertain: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    question: str | None = None
    options: tuple[str, ...] | None = None
    answer: str | float | None = None
    item: str | None = None
    age: int | None = None
    sex: str | None = None
    context: str | None = None
    answers: bool = True
    patient: str | None = None
    group: str | None = None
    split: Split | None = None

    def unit(self, key: str, files: tuple[str, ...], **facts: Any) -> Unit:
        """The unit of this annotation alone."""
        return annotated_unit(key, files, (self,), **facts)


_ASKED = Annotation._fields[: Annotation._fields.index("context") + 1]


def annotated_unit(
    key: str, files: tuple[str, ...], annotations: Sequence[Annotation], **facts: Any
) -> Unit:
    """The unit of a study's annotations, which agree about what they share."""
    first = annotations[0]
    group = first.group or first.patient
    own = {"questions": list(map(_question, annotations)), **facts}
    return Unit(key, files, group, first.patient, first.split, own)


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
        | {name: question.get(name) for name in _TOLD}
        for question in unit.facts["questions"]
    ]


def with_person(fields: dict[str, Any], age: int | None, sex: str | None) -> dict[str, Any]:
    """Fields of a Record with a header's age and sex where the annotation has none."""
    own = {"age": fields["age"], "sex": fields["sex"]}
    header = {"age": age, "sex": sex}
    return fields | {name: header[name] if own[name] is None else own[name] for name in own}


def _question(annotation: Annotation) -> dict[str, Any]:
    """The JSON values that a question and its answer need, as far as they are there."""
    members = zip(_ASKED, annotation, strict=False)
    return {name: value for name, value in members if value is not None and value != ()}


def _fields(
    card: Card, task: str, facts: dict[str, Any], regions: Iterable[Region], *, where: str
) -> dict[str, Any]:
    definition, question = task_of(card, task), facts.get("question")
    if definition.kind == "choice":
        return ask_choice(card, task, facts["options"], facts["answer"], question=question)
    if definition.kind == "open":
        return ask_open(card, task, facts["answer"], question=question)
    if definition.kind == "boxes":
        return ask_boxes(card, task, regions, question=question)
    if definition.kind == "number" and not definition.ordinal:
        unit = definition.unit or ""
        return ask_number(card, task, facts["answer"], unit=unit, question=question)

    labels, uncertain, absent = (
        [translate(card, raw, where=where, task=task) for raw in facts.get(state, ())]
        for state in _STATES
    )
    return ask(card, task, labels, uncertain=uncertain, absent=absent, question=question)
