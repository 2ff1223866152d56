"""The labels that a question admits, and reading an answer in their terms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from qoqdata.errors import InputError
from qoqtrain.rewards.spellings import lettered, without_lead
from qoqtrain.rewards.text import normal_form, plain, singular

T = TypeVar("T")

# "," " and " "&" and the line break are the separators of the record contract; ";" "|" and the
# ideographic comma are what policies write besides.
_SEPARATOR = re.compile(r"[,;&|\u3001]| and (?=\S)", re.IGNORECASE)


@dataclass(frozen=True)
class Vocabulary:
    """Labels by normal form.

    names      normal form -> label as the source writes it
    meanings   synonym class -> normal form, where one label alone has that class
    singulars  singular form -> normal form, where one label alone has it
    letters    normal forms in the order of the options, for answers by option letter
    longest    most separator-free pieces that one label has
    classes    normal form of an alias -> normal form of what it means
    """

    names: Mapping[str, str]
    meanings: Mapping[str, str]
    singulars: Mapping[str, str]
    letters: tuple[str, ...]
    longest: int
    classes: Mapping[str, str]

    def find(self, text: str) -> str | None:
        """Normal form of the label that `text` names, or None.

        Tried in order: the label itself, a synonym, the singular; the same behind what answers
        begin with and behind an option letter; the option letter alone, as position in the options
        (the table is in `spellings`). Labels that the data set writes come first, so "A. Fib" is
        itself and not option A.
        """
        form = normal_form(text)
        if label := self._by_name(form):
            return label
        bare = normal_form(without_lead(form))
        if bare != form and (label := self._by_name(bare)):
            return label
        if (option := lettered(bare)) is None:
            return None
        if option.rest:
            return self._by_name(normal_form(option.rest))
        return self.letters[option.place] if option.place < len(self.letters) else None

    def _by_name(self, form: str) -> str | None:
        if form in self.names:
            return form
        meaning = self.meanings.get(self.classes.get(form, form))
        return meaning or self.singulars.get(singular(form))

    def read(self, answer: str) -> frozenset[str]:
        """The set of labels in an answer: normal forms, known ones and all others as they stand.

        Split at every separator; pieces that together spell a label of the vocabulary are joined
        again, longest first, so labels may hold separators. Time is linear in the answer.
        """
        if (form := normal_form(answer)) in self.names:
            return frozenset((form,))
        text = plain(answer).strip()
        if text.startswith("[") and text.endswith("]"):
            text = text[1:-1]
        lines = (" ".join(line.split()) for line in text.splitlines())
        text = " ".join(line + "," for line in lines)
        spans = pieces(text)
        labels: set[str] = set()
        start = 0
        while start < len(spans):
            for stop in range(min(len(spans), start + self.longest), start, -1):
                label = self.find(text[spans[start][0] : spans[stop - 1][1]])
                if label is not None:
                    labels.add(label)
                    break
            else:
                stop = start + 1
                labels.add(normal_form(without_lead(normal_form(text[slice(*spans[start])]))))
            start = stop
        return frozenset(labels - {""})


def pieces(text: str) -> list[tuple[int, int]]:
    """(start, end) of the separator-free pieces of a one-line text; blank pieces are left out."""
    edges = [0]
    for mark in _SEPARATOR.finditer(text):
        edges += mark.span()
    edges.append(len(text))
    spans = zip(edges[::2], edges[1::2], strict=True)
    return [(start, end) for start, end in spans if text[start:end].strip()]


def vocabulary_of(
    options: Sequence[str], extra: Iterable[str] = (), classes: Mapping[str, str] | None = None
) -> Vocabulary:
    """The vocabulary of a question.

    options   admissible labels, in the order shown
    extra     labels of the truth that are no options; they get no option letter
    classes   from `synonym_classes`
    Raises InputError when two options differ in case, mark-up or closing punctuation alone.
    """
    names: dict[str, str] = {}
    for label in options:
        form = normal_form(label)
        if form in names:
            raise InputError(
                f"options {names[form]!r} and {label!r} read the same",
                fix="give options that differ in more than case and punctuation",
            )
        names[form] = label
    letters = tuple(names)
    for label in extra:
        names.setdefault(normal_form(label), label)
    classes = classes or {}
    return Vocabulary(
        names=names,
        meanings=unambiguous((classes.get(form, form), form) for form in names),
        singulars=unambiguous((_shape(form)[0], form) for form in names),
        letters=letters if len(letters) <= 26 else (),
        longest=max((_shape(form)[1] for form in names), default=1),
        classes=classes,
    )


def synonym_classes(synonyms: Mapping[str, str]) -> dict[str, str]:
    """Alias -> meaning, as normal forms, from a table of alias -> label.

    Raises InputError when an alias has two meanings or a meaning is itself an alias.
    """
    classes: dict[str, str] = {}
    for alias, label in synonyms.items():
        form, meaning = normal_form(alias), normal_form(label)
        if classes.setdefault(form, meaning) != meaning:
            raise InputError(f"synonym {alias!r} has two meanings", where="synonyms")
    if chained := sorted(m for m in classes.values() if classes.get(m, m) != m):
        raise InputError(f"synonym {chained[0]!r} is an alias and a meaning", where="synonyms")
    return classes


def name_of(classes: Mapping[str, str]) -> Callable[[str], str]:
    """Label -> the normal form of what it means, for comparing labels of boxes."""

    def name(label: str) -> str:
        form = normal_form(label)
        return classes.get(form, form)

    return name


@lru_cache(maxsize=1 << 14)
def _shape(form: str) -> tuple[str, int]:
    """(singular form, number of separator-free pieces, at least 1) of a label."""
    return singular(form), max(len(pieces(form)), 1)


def unambiguous(pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """The pairs as a mapping, without keys that stand for different things."""
    first: dict[str, T] = {}
    ambiguous: set[str] = set()
    for key, value in pairs:
        if first.setdefault(key, value) != value:
            ambiguous.add(key)
    return {key: value for key, value in first.items() if key not in ambiguous}
