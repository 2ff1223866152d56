"""Reading a response in the terms of a question: a letter, a yes or no, words, labels.

Every rule is strict. Nothing is looked for inside of words ("no" is in "normal"), no option is
taken for being the most similar, and nothing is guessed: what cannot be read is None and wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from qoqtrain.evaluate.benchmarks.item import Item
from qoqtrain.evaluate.benchmarks.overlap import token_recall
from qoqtrain.rewards.final_answer import final_answer
from qoqtrain.rewards.object_list import NotJSON, strict_json
from qoqtrain.rewards.text import exact, normal_form, rouge_l, token_f1, words

_NONE: Mapping[str, float] = {}
_ANNOUNCED = re.compile(
    r"(?:the )?(?:final |correct |best )?(?:answer|option|choice)(?: is)?\s*[:=]?\s*(.+)", re.DOTALL
)
_LETTER = re.compile(r"\(?([a-z])(?:\)|[.:,](?=\s|$)|\s*$)")
_LETTERS = re.compile(r"[a-z](?:\s*(?:,|;|&|and|\s)\s*[a-z])*")
_FENCE = re.compile(r"```[a-z]{0,8}\s*(.+?)```", re.DOTALL | re.IGNORECASE)


class Reading(NamedTuple):
    """`given` what the response names, None where nothing of the asked kind could be read;
    `measures` similarities of open answers, 0 to 1."""

    given: tuple[str, ...] | None
    correct: bool
    measures: Mapping[str, float] = _NONE


Rule = Callable[[str, Item], Reading]

_UNREAD = Reading(None, False)


def answer_text(response: str) -> str | None:
    """The final \\boxed{} of a response, or, where it has no box at all, what follows the thinking.

    None for a response that is cut off in its thinking or in its box.
    """
    answer = final_answer(response)
    if answer.text is not None:
        return answer.text
    tail = re.split(r"</think>", response, flags=re.IGNORECASE)[-1]
    if "\\boxed" in tail or re.search(r"<think>", tail, re.IGNORECASE):
        return None
    return tail.strip() or None


def letters_of(answer: str, options: Sequence[str]) -> tuple[str, ...] | None:
    """Option letters that an answer names, in order: "B", "(B)", "B. text", "A, C", or the words
    of one option; None where it names none, or a letter that no option has."""
    form = normal_form(answer)
    if announced := _ANNOUNCED.fullmatch(form):
        form = normal_form(announced[1])
    by_words = [index for index, option in enumerate(options) if normal_form(option) == form]
    if len(by_words) == 1:
        return (chr(ord("A") + by_words[0]),)
    if _LETTERS.fullmatch(form):
        found = re.findall(r"\b[a-z]\b", form)
    elif leading := _LETTER.match(form):
        found = [leading[1]]
    else:
        return None
    if not found or any(ord(letter) - ord("a") >= len(options) for letter in found):
        return None
    return tuple(sorted({letter.upper() for letter in found}))


def choice(response: str, item: Item) -> Reading:
    """One option of several, by letter or in its words; naming two is no answer."""
    text = answer_text(response)
    given = None if text is None else letters_of(text, item.options)
    if given is None or len(given) != 1:
        return _UNREAD
    return Reading(given, given == item.right)


def choices(response: str, item: Item) -> Reading:
    """A set of options by their letters; all of them and no other are right."""
    text = answer_text(response)
    given = None if text is None else letters_of(text, item.options)
    return _UNREAD if given is None else Reading(given, set(given) == set(item.right))


def yes_no(response: str, item: Item) -> Reading:
    """ "yes" or "no" as a word of its own; an answer with both, or with neither, is none."""
    text = answer_text(response)
    found = set(words(text or "")) & {"yes", "no"}
    if len(found) != 1:
        return _UNREAD
    given = (found.pop(),)
    return Reading(given, given == tuple(map(normal_form, item.right)))


def phrase(response: str, item: Item) -> Reading:
    """An open answer: right when it has the same words in the same order, and how similar else."""
    text = answer_text(response)
    truth = item.right[0]
    if text is None:
        return Reading(None, False, dict.fromkeys(_MEASURES, 0.0))
    measures = {name: measure(text, truth) for name, measure in _MEASURES.items()}
    return Reading((text,), exact(text, truth) == 1.0, measures)


_MEASURES: dict[str, Callable[[str, str], float]] = {
    "token_recall": token_recall,
    "token_f1": token_f1,
    "rouge_l": rouge_l,
}


def closed_or_open(response: str, item: Item) -> Reading:
    """`yes_no` where the right answer is yes or no, else the same words (closed) or `phrase`."""
    if normal_form(item.right[0]) in ("yes", "no"):
        return yes_no(response, item)
    read = phrase(response, item)
    return read._replace(measures=_NONE) if item.closed else read


def label(response: str, item: Item) -> Reading:
    """One label of the options, in JSON under "label" (also in a code fence), boxed, or alone."""
    text = _json_label(response) or answer_text(response)
    names = {normal_form(option): option for option in item.options}
    found = names.get(normal_form(text or ""))
    return _UNREAD if found is None else Reading((found,), (found,) == item.right)


def label_set(response: str, item: Item) -> Reading:
    """Every option that stands in the answer as whole words, spelled as it is.

    Labels are compared with their case: "ST" is a finding and "st" is none. Of labels that share
    words, the longer one is taken, so "NORM" is not found in "ABNORMAL" nor "MI" in "IMI".
    """
    text = answer_text(response)
    if text is None:
        return _UNREAD
    longest = sorted(item.options, key=lambda option: (-len(option), option))
    one = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, longest)) + r")(?!\w)")
    named = set(one.findall(text))
    given = tuple(option for option in item.options if option in named)
    return Reading(given, set(given) == set(item.right)) if given else _UNREAD


def answer_set(response: str, item: Item) -> Reading:
    """A comma-separated set of whole answers, compared after normalisation."""
    text = answer_text(response)
    given = {form for part in (text or "").split(",") if (form := normal_form(part))}
    if not given:
        return _UNREAD
    return Reading(tuple(sorted(given)), given == set(map(normal_form, item.right)))


def _json_label(response: str) -> str | None:
    bodies = [*_FENCE.findall(response), response.strip()]
    for body in bodies:
        try:
            value = strict_json(body.strip())
        except NotJSON:
            continue
        if isinstance(value, dict) and isinstance(named := value.get("label"), str):
            return named
    return None
