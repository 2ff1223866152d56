"""Questions and answers from a card's tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import ANSWER_JOIN
from qoqdata.errors import BadLabel
from qoqdata.sources.protocol import Unit


def ask(
    card: Card,
    task: str,
    labels: Iterable[str],
    *,
    uncertain: Collection[str] = (),
    absent: Collection[str] = (),
) -> dict[str, Any]:
    """The fields of a Record that a task and its labels decide.

    `labels` are options of the task that the source asserts, `uncertain` and `absent` those that
    it doubts and denies; an option in none of them is not mentioned. They come out in the order of
    the options, whatever order they arrive in. Raises BadLabel for a stray label, for one in two
    states, for none asserted, or several where one is asked.
    """
    definition = card.tasks[task]
    options = definition.options or ()
    answers = set(labels)
    if stray := sorted((answers | set(uncertain) | set(absent)) - set(options)):
        raise BadLabel(f"{stray[0]!r} is no option of the task {task}", where=card.slug)
    if torn := sorted((answers | set(uncertain)) & set(absent)):
        raise BadLabel(f"{torn[0]!r} is asserted or doubted, and denied", where=card.slug)
    if not answers or (definition.kind == "single" and len(answers) > 1):
        number = "exactly one label" if definition.kind == "single" else "at least one label"
        raise BadLabel(f"the task {task} needs {number}, got {sorted(answers)}", where=card.slug)
    in_order = tuple(option for option in options if option in answers)
    return {
        "task": task,
        "kind": definition.kind,
        "forms": (prompt(definition.question, definition.kind, options),),
        "options": options,
        "answer": ANSWER_JOIN.join(in_order),
        "labels": in_order,
        "uncertain": tuple(option for option in options if option in uncertain),
        "absent": tuple(option for option in options if option in absent),
    }


def prompt(question: str, kind: str, options: Collection[str]) -> str:
    """The question with its selection rule and one option per line."""
    if kind not in ("single", "multi"):
        return question
    rule = "Choose exactly one:" if kind == "single" else "Choose all that apply:"
    return "\n".join((f"{question} {rule}", *options))


def translate(card: Card, raw: str, *, where: str) -> str:
    """The option that the card maps a raw label to; raises BadLabel for an unmapped one."""
    try:
        return card.labels[raw]
    except KeyError:
        names = ", ".join(sorted(card.labels))
        raise BadLabel(
            f"the raw label {raw!r} is not mapped", where=where, fix=f"the card maps: {names}"
        ) from None


def answered(card: Card, task: str, unit: Unit) -> dict[str, Any]:
    """As `ask`, from the facts of an annotated unit, with its age, sex and context."""
    facts = unit.facts
    labels = [translate(card, raw, where=unit.key) for raw in facts["labels"]]
    uncertain = [translate(card, raw, where=unit.key) for raw in facts["uncertain"]]
    return {
        **ask(card, task, labels, uncertain=uncertain),
        "age": facts["age"],
        "sex": facts["sex"],
        "context": facts["context"],
    }
