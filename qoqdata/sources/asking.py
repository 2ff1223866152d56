"""Questions and answers from a card's tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import ANSWER_JOIN
from qoqdata.errors import BadLabel
from qoqdata.sources.protocol import Unit


def ask(
    card: Card, task: str, labels: Iterable[str], *, uncertain: Collection[str] = ()
) -> dict[str, Any]:
    """The task, question, options, answer, labels and uncertain fields of a Record.

    `labels` are options of the task; they come out in the order of the options, whatever order
    they arrive in. Raises BadLabel for a stray label, none at all, or several where one is asked.
    """
    asked = card.tasks[task]
    options = asked.options or ()
    present = set(labels)
    if stray := sorted((present | set(uncertain)) - set(options)):
        raise BadLabel(f"{stray[0]!r} is no option of the task {task}", where=card.slug)
    if not present or (asked.kind == "single" and len(present) > 1):
        wanted = "exactly one label" if asked.kind == "single" else "at least one label"
        raise BadLabel(f"the task {task} needs {wanted}, got {sorted(present)}", where=card.slug)
    ordered = tuple(option for option in options if option in present)
    return {
        "task": task,
        "question": prompt(asked.question, asked.kind, options),
        "options": options,
        "answer": ANSWER_JOIN.join(ordered),
        "labels": ordered,
        "uncertain": tuple(option for option in options if option in uncertain),
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
        known = ", ".join(sorted(card.labels))
        raise BadLabel(
            f"the raw label {raw!r} is not mapped", where=where, fix=f"the card maps: {known}"
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
