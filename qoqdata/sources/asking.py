"""Questions and answers from a card's tasks: one function for each kind of question.

Each gives the fields of a Record that a task and its answer decide. `question` is the record's own
wording, or several of which its id picks one, in place of those of the task.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Sequence
from decimal import Decimal
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.contract.task import Task
from qoqdata.contract.vocabulary import ANSWER_JOIN
from qoqdata.errors import BadLabel
from qoqdata.records.content import Number, Region
from qoqdata.sources.card import DIMENSIONLESS, task_of

Wording = str | Sequence[str] | None

#: How options are listed, by kind. An ordinal task lists them as a number task with options.
_RULES = {
    "single": "Choose exactly one:",
    "multi": "Choose all that apply:",
    "choice": "Choose exactly one:",
    "number": "Choose exactly one, from lowest to highest:",
}


def ask(
    card: Card,
    task: str,
    labels: Iterable[str],
    *,
    uncertain: Collection[str] = (),
    absent: Collection[str] = (),
    question: Wording = None,
    offered: Collection[str] | None = None,
) -> dict[str, Any]:
    """A single, multi or ordinal question.

    `labels` are options of the task that the source asserts, `uncertain` and `absent` those that
    it doubts and denies; an option in none of them is not mentioned. They come out in the order of
    the options, whatever order they arrive in. `offered` are the options that a record of a single
    or multi task shows, where it does not show all. Raises BadLabel for a stray label, for one in
    two states, for none asserted, or several where one is asked.
    """
    definition = _task(card, task, "single", "multi", "ordinal")
    options = definition.options or ()
    if offered is not None and not definition.ordinal:
        options = tuple(option for option in options if option in offered)
    answers = set(labels)
    if stray := sorted(answers.union(uncertain, absent).difference(options)):
        what = f"{stray[0]!r} is no option of the task {task}"
        raise BadLabel(what, where=card.slug, fix="map it under labels, or add it to the options")
    if absent and (torn := sorted(answers.union(uncertain).intersection(absent))):
        what = f"{torn[0]!r} is asserted or doubted, and denied"
        raise BadLabel(what, where=card.slug, fix="give a label one state")
    one = definition.kind != "multi"
    if not answers or (one and len(answers) > 1):
        number = "exactly one label" if one else "at least one label"
        what = f"the task {task} needs {number}, got {sorted(answers)}"
        raise BadLabel(what, where=card.slug, fix="leave the unit out as filtered, or mend its row")
    in_order = tuple(option for option in options if option in answers)
    fields = _fields(card, task, definition, ANSWER_JOIN.join(in_order), options, question)
    if definition.ordinal:
        place = float(options.index(in_order[0]))
        fields["number"] = Number(place, None, definition.tolerance or 0.0)
    return fields | {
        "labels": in_order,
        "uncertain": tuple(option for option in options if option in uncertain),
        "absent": tuple(option for option in options if option in absent),
    }


def ask_choice(
    card: Card, task: str, options: Iterable[str], answer: str, *, question: Wording = None
) -> dict[str, Any]:
    """A choice among the record's own options, which are any text, in the order given.

    Raises BadLabel for fewer than two options, for empty ones and repeats, and for an answer that
    is none of them.
    """
    definition = _task(card, task, "choice")
    offered = tuple(options)
    check_choice(offered, answer, where=card.slug)
    return _fields(card, task, definition, answer, offered, question)


def check_choice(options: tuple[str, ...], answer: str, *, where: str) -> None:
    """Raise BadLabel where an answer is no option, or options are no choice."""
    if len(options) < 2 or not all(option.strip() for option in options):
        what = f"a choice needs two options or more, none of them empty, got {options}"
        raise BadLabel(what, where=where, fix="leave empty options out")
    if len(set(options)) < len(options):
        raise BadLabel(f"options repeat: {options}", where=where, fix="keep each once")
    if answer not in options:
        what = f"the answer {answer!r} is none of {options}"
        raise BadLabel(what, where=where, fix="give an option word for word")


def ask_number(
    card: Card, task: str, value: float, *, unit: str, question: Wording = None
) -> dict[str, Any]:
    """A quantity: `value` in `unit` (UCUM), which must be the task's; nothing is converted.

    Raises BadLabel for another unit and for a value that is not finite.
    """
    definition = _task(card, task, "quantity")
    if unit != definition.unit:
        what = f"a value in {unit!r}, and the task {task} is in {definition.unit!r}"
        raise BadLabel(what, where=card.slug, fix="convert it first")
    if not math.isfinite(value):
        raise BadLabel(f"{value} is no number", where=card.slug, fix="leave the unit out")
    text, own = _decimal(value), None if unit == DIMENSIONLESS else unit
    fields = _fields(card, task, definition, f"{text} {own}" if own else text, None, question)
    return fields | {"number": Number(float(value), own, definition.tolerance or 0.0)}


def ask_boxes(
    card: Card, task: str, regions: Iterable[Region], *, question: Wording = None
) -> dict[str, Any]:
    """Boxes to find: those of the record's regions that are targets; the answer names their labels.

    The answer holds no coordinates, since boxes follow the size at which images are stored. Raises
    BadLabel where nothing is to be found.
    """
    definition = _task(card, task, "boxes")
    names = dict.fromkeys(region.label for region in regions if region.role == "target")
    if not names:
        raise BadLabel(f"the task {task} has no box to find", where=card.slug, fix="filter it")
    return _fields(card, task, definition, ANSWER_JOIN.join(names), None, question)


def ask_open(card: Card, task: str, answer: str, *, question: Wording = None) -> dict[str, Any]:
    """A question with free text for an answer; BadLabel for an empty one."""
    definition = _task(card, task, "open")
    if not answer.strip():
        raise BadLabel(f"the answer to the task {task} is empty", where=card.slug, fix="filter it")
    return _fields(card, task, definition, answer, None, question)


def prompt(
    question: str, kind: str, options: Collection[str] | None = None, unit: str | None = None
) -> str:
    """The question with its selection rule and one option per line, or with the unit asked for."""
    if options:
        return "\n".join((f"{question} {_RULES[kind]}", *options))
    if kind != "number":
        return question
    return f"{question} Answer with a number{'' if unit in (None, '1') else f' in {unit}'}."


def translate(card: Card, raw: str, *, where: str, task: str | None = None) -> str:
    """The option that the task, or else the card, maps a raw label to.

    Raises BadLabel for an unmapped one.
    """
    own = task_of(card, task).labels if task else {}
    if (option := own.get(raw, card.labels.get(raw))) is not None:
        return option
    names = ", ".join(sorted(card.labels | own))
    raise BadLabel(
        f"the raw label {raw!r} is not mapped", where=where, fix=f"the card maps: {names}"
    )


def pick(key: str, count: int) -> int:
    """A place below `count`, the same for a key everywhere: the first 8 bytes of its SHA-256."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % count


def _task(card: Card, task: str, *kinds: str) -> Task:
    """The definition of a task that is of one of `kinds`."""
    definition = task_of(card, task)
    kind: str = definition.kind
    if kind == "number":
        kind = "ordinal" if definition.ordinal else "quantity"
    if kind not in kinds:
        what = f"the task {task} is {kind}, and it is asked as {' or '.join(kinds)}"
        raise BadLabel(what, where=card.slug, fix=f"ask it with {_ASKED_WITH[kind]}")
    return definition


_ASKED_WITH = {
    "single": "ask",
    "multi": "ask",
    "ordinal": "ask",
    "choice": "ask_choice",
    "quantity": "ask_number",
    "boxes": "ask_boxes",
    "open": "ask_open",
}


def _fields(
    card: Card,
    task: str,
    definition: Task,
    answer: str,
    options: tuple[str, ...] | None,
    question: Wording,
) -> dict[str, Any]:
    own = (question,) if isinstance(question, str) else tuple(question or ())
    wordings = own or definition.wordings
    if not wordings:
        what = f"the task {task} has no wording of its own"
        raise BadLabel(what, where=card.slug, fix="give the record's as question=")
    kind, unit = definition.kind, definition.unit
    return {
        "task": task,
        "kind": kind,
        "forms": tuple(prompt(wording, kind, options, unit) for wording in wordings),
        "options": options,
        "answer": answer,
    }


def _decimal(value: float) -> str:
    """The shortest decimal that reads back as `value`, without exponent: 12.5, 3, 0.0000001."""
    text = format(Decimal(repr(float(value))), "f")
    whole = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if whole == "-0" else whole
