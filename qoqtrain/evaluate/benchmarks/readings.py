"""A question of a benchmark, and reading a response in its terms: a letter, a word, labels.

Every rule is strict. Nothing is looked for inside of words ("no" is in "normal"), no option is
taken for being the most similar, and nothing is guessed: what cannot be read is None and wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

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


@dataclass(frozen=True)
class Item:
    """One question of a benchmark.

    options  admissible answers in the order shown; () where there are none
    right    the right answers: option letters for choices, else labels or one text
    closed   whether the benchmark counts it as closed; None where it does not say
    groups   columns by which figures are reported besides
    """

    id: str
    right: tuple[str, ...]
    options: tuple[str, ...] = ()
    closed: bool | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


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
    if announcement := _ANNOUNCED.fullmatch(form):
        form = normal_form(announcement[1])
    by_words = [index for index, option in enumerate(options) if normal_form(option) == form]
    if len(by_words) == 1:
        return (chr(ord("A") + by_words[0]),)
    if _LETTERS.fullmatch(form):
        letters = re.findall(r"\b[a-z]\b", form)
    elif letter := _LETTER.match(form):
        letters = [letter[1]]
    else:
        return None
    if not letters or any(ord(letter) - ord("a") >= len(options) for letter in letters):
        return None
    return tuple(sorted({letter.upper() for letter in letters}))


def choice(response: str, item: Item) -> Reading:
    """One option of several, by letter or in its words; naming two is no answer."""
    text = answer_text(response)
    letters = None if text is None else letters_of(text, item.options)
    if letters is None or len(letters) != 1:
        return _UNREAD
    return Reading(letters, letters == item.right)


def choices(response: str, item: Item) -> Reading:
    """A set of options by their letters; all of them and no other are right."""
    text = answer_text(response)
    letters = None if text is None else letters_of(text, item.options)
    return _UNREAD if letters is None else Reading(letters, set(letters) == set(item.right))


def yes_no(response: str, item: Item) -> Reading:
    """ "yes" or "no" as a word of its own; an answer with both, or with neither, is none."""
    text = answer_text(response)
    answers = set(words(text or "")) & {"yes", "no"}
    if len(answers) != 1:
        return _UNREAD
    answer = (answers.pop(),)
    return Reading(answer, answer == tuple(map(normal_form, item.right)))


def token_recall(answer: str, truth: str) -> float:
    """Share of the words of the truth that the answer has, counted as often as they occur.

    The "recall" that LLaVA-Med (arXiv 2306.00890) reports for open questions: long answers are not
    punished, so it is no accuracy.
    """
    right = Counter(words(truth))
    if not right:
        return float(not words(answer))
    return sum((Counter(words(answer)) & right).values()) / right.total()


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
    reading = phrase(response, item)
    return reading._replace(measures=_NONE) if item.closed else reading


def label(response: str, item: Item) -> Reading:
    """One label of the options, in JSON under "label" (also in a code fence), boxed, or alone."""
    text = _json_label(response) or answer_text(response)
    names = {normal_form(option): option for option in item.options}
    option = names.get(normal_form(text or ""))
    return _UNREAD if option is None else Reading((option,), (option,) == item.right)


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
    matches = set(one.findall(text))
    labels = tuple(option for option in item.options if option in matches)
    return Reading(labels, set(labels) == set(item.right)) if labels else _UNREAD


def answer_set(response: str, item: Item) -> Reading:
    """A comma-separated set of whole answers, compared after normalisation."""
    text = answer_text(response)
    answers = {form for part in (text or "").split(",") if (form := normal_form(part))}
    if not answers:
        return _UNREAD
    return Reading(tuple(sorted(answers)), answers == set(map(normal_form, item.right)))


def _json_label(response: str) -> str | None:
    bodies = [*_FENCE.findall(response), response.strip()]
    for body in bodies:
        try:
            value = strict_json(body.strip())
        except NotJSON:
            continue
        if isinstance(value, dict) and isinstance(text := value.get("label"), str):
            return text
    return None
