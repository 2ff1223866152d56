"""A question and its answer as the first two turns of a published conversation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from qoqdata.errors import BadTable

#: Where a model is to see the picture; the record shows it anyway.
_IMAGE = re.compile(r"\s*<(?:image|ecg)>\s*")


class Turns(NamedTuple):
    """What is asked, and the texts of the answer: one, or several where it is a list."""

    question: str
    answers: tuple[str, ...]


def first_turns(conversation: Any, *, where: str) -> Turns:
    """The first two of turns {from, value}; a value is a text or a list of texts.

    Raises BadTable for fewer turns, for one without a text, and for more than two: a conversation
    that goes on is no single question.
    """
    fix = "fetch the file again"
    if not isinstance(conversation, Sequence) or len(conversation) != 2:
        found = len(conversation) if isinstance(conversation, Sequence) else "no"
        raise BadTable(f"has {found} turns, not a question and an answer", where=where, fix=fix)
    asked, answered = (_texts(turn, where) for turn in conversation)
    question = _IMAGE.sub("\n", "\n".join(asked)).strip()
    if not question:
        raise BadTable("has an empty question", where=where, fix=fix)
    return Turns(question, answered)


def _texts(turn: Any, where: str) -> tuple[str, ...]:
    value = turn.get("value") if isinstance(turn, Mapping) else None
    values = [value] if isinstance(value, str) else value
    if isinstance(values, Sequence) and values and all(isinstance(one, str) for one in values):
        texts = tuple(one.strip() for one in values)
        if all(texts):
            return texts
    raise BadTable("has a turn without a text", where=where, fix="fetch the file again")
