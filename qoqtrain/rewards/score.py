"""Rewards of a batch of responses, part by part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UsageError
from qoqtrain.rewards.answers import AnswerReading, Expectations, ExpectedAnswer, answer_part
from qoqtrain.rewards.final_answer import Answer, final_answer
from qoqtrain.rewards.form import binary, format_part, graded, length_part
from qoqtrain.rewards.grounding import Grounds, canvases_of, grounding, grounds_of, stored_boxes
from qoqtrain.rewards.matching import RegionBox
from qoqtrain.rewards.object_list import ObjectList, object_list
from qoqtrain.rewards.published import PUBLISHED, published_scores
from qoqtrain.rewards.scheme import DEFAULT_PRESET, PARTS, Part, Scheme, scheme_of
from qoqtrain.rewards.truth import Truth
from qoqtrain.rewards.truth_reading import truth_of
from qoqtrain.rewards.vocabulary import name_of

#: Longer responses are not read: no context window holds one.
MAX_RESPONSE = 2_000_000

Scores = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Question:
    original: object
    truth: Truth
    expectation: ExpectedAnswer
    grounds: Grounds


class _Response(NamedTuple):
    text: str
    answer: Answer
    objects: ObjectList
    reading: AnswerReading
    truncated: bool


def score(
    responses: Sequence[str],
    truths: Sequence[Truth | Mapping[str, Any] | str],
    preset: str = DEFAULT_PRESET,
    *,
    truncated: Sequence[bool] | None = None,
    **changes: Any,
) -> list[dict[str, Any]]:
    """The reward of each response and its parts, as plain dicts in the order given.

    responses  texts of the policy, without the prompt
    truths     one for each response (`truth_of`: a Truth, a mapping of its fields, or the
               answer alone); rollouts of one question may share the object, which saves time
    preset     a name in `scheme.PRESETS`; `changes` replace fields of its `Scheme`. The names in
               `published.PUBLISHED` run the published functions instead, faults included, for
               comparison
    truncated  True where generation stopped at the token limit: length and format earn nothing

    Each dict holds
      overall    weighted mean of the parts that can be scored, 0 to 1; None where none can.
                 A part with missing truth is dropped and its weight shared by the others. With
                 `gate` (the default) the other parts are multiplied by the answer, so a wrong
                 answer, silence and form alone earn 0
      answer, grounding, format, length   0 to 1, or None where the truth is missing
      status     part -> one of `scheme.Status`
      reason     part -> why, where there is more to say than ok
      prediction the answer as extracted, or None; labels: the set read from it, sorted, or None;
                 number: the quantity read from it, or the place of an ordinal option, or None
    No response raises: what cannot be read scores 0 with its reason. Malformed truths and settings
    raise UsageError or InputError.
    """
    if len(responses) != len(truths):
        raise UsageError(f"{len(responses)} responses for {len(truths)} truths")
    if truncated is not None and len(truncated) != len(responses):
        raise UsageError(f"{len(truncated)} truncation marks for {len(responses)} responses")
    if stray := [type(text).__name__ for text in responses if not isinstance(text, str)]:
        raise UsageError(f"a response is of type {stray[0]}", fix="pass texts")
    if preset in PUBLISHED:
        if changes:
            raise UsageError(f"preset {preset!r} takes no settings", fix="choose another preset")
        return published_scores(responses, truths, preset)
    scheme = scheme_of(preset, **changes)
    questions: dict[int, _Question] = {}
    expectations, name = Expectations(scheme.classes), name_of(scheme.classes)
    scores = []
    for index, (text, original) in enumerate(zip(responses, truths, strict=True)):
        # `original` is kept with what was made of it, so no other object can take its id.
        question = questions.get(id(original))
        if question is None:
            truth = truth_of(original, f"truths[{index}]")
            question = _Question(original, truth, expectations.of(truth), grounds_of(truth, name))
            questions[id(original)] = question
        answer, objects = _parse(text)
        reading = AnswerReading()
        if answer.text is not None:
            reading = expectations.read(question.expectation, answer.text)
        stop = truncated is not None and bool(truncated[index])
        response = _Response(text, answer, objects, reading, stop)
        scores.append(_score(response, question, scheme, name))
    return scores


def claims(response: str, truth: Truth) -> list[RegionBox]:
    """The boxes that a response claims, in stored pixels, without those of no area in an image."""
    return stored_boxes(_parse(response)[1].mentions, canvases_of(truth))


def _score(
    response: _Response, question: _Question, scheme: Scheme, name: Callable[[str], str]
) -> dict[str, Any]:
    text, answer, objects, reading, truncated = response
    labels = reading.labels
    if scheme.format_rule == "graded":
        grade = graded(objects)
    else:
        grade = binary(objects, {name(label) for label in labels or ()}, name)
    stop = Part(0.0, "truncated", "generation stopped at the token limit") if truncated else None
    parts = {
        "answer": answer_part(answer, reading, question.truth, question.expectation, scheme),
        "grounding": grounding(
            objects,
            question.grounds,
            rule=scheme.grounding_rule,
            labelled=scheme.labelled_boxes,
            inclusive=scheme.inclusive_boxes,
            name=name,
        ),
        "format": stop or format_part(grade, objects, answer, scheme.think_share),
        "length": stop
        or length_part(
            text, answer, objects, full=scheme.full_words, overlong=scheme.overlong_words
        ),
    }
    return {
        "overall": _overall(parts, scheme, claims=objects.syntax is not None),
        **{name: part.value for name, part in parts.items()},
        "status": {name: part.status for name, part in parts.items()},
        "reason": {name: part.reason for name, part in parts.items() if part.reason},
        "prediction": answer.text,
        "labels": None if labels is None else _written(labels, question.expectation),
        "number": reading.number,
    }


def _parse(response: str) -> tuple[Answer, ObjectList]:
    if len(response) > MAX_RESPONSE:
        reason = f"the response has {len(response)} characters, more than {MAX_RESPONSE}"
        return Answer(None, "unparsable", reason, -1, reason), ObjectList(reason=reason)
    return final_answer(response), object_list(response)


def _overall(parts: Mapping[str, Part], scheme: Scheme, *, claims: bool) -> float | None:
    """The weighted mean, gated where the scheme says so; `claims`: a list of objects was written.

    A gated reward whose outcome has no truth is None: form alone is no reward.
    """
    paid = {name: part.value for name, part in parts.items()}
    if scheme.gate:
        gate = "grounding" if paid["answer"] is None else "answer"
        outcome = paid[gate]
        if outcome is None:
            return None
        if gate == "grounding" and not claims:
            # Saying that there is nothing takes an empty list; silence does not.
            outcome = paid[gate] = 0.0
        paid |= {
            name: value * outcome
            for name, value in paid.items()
            if value is not None and name != gate
        }
    total = weight = 0.0
    for part, share in zip(PARTS, scheme.weights, strict=True):
        if (value := paid[part]) is not None:
            total += share * value
            weight += share
    return min(total / weight, 1.0) if weight else None


def _written(labels: frozenset[str], expectation: ExpectedAnswer) -> list[str]:
    names = expectation.vocabulary.names
    return sorted(names.get(label, label) for label in labels)


def tally(scores: Scores) -> dict[str, dict[str, Any]]:
    """Part -> mean over the scored responses (None without any), coverage and count of each status.

    Coverage is the share of responses with truth for the part. Nothing is left out: the counts of
    a part add up to the number of responses.
    """
    parts: dict[str, dict[str, Any]] = {}
    for part in PARTS:
        values = [score[part] for score in scores if score[part] is not None]
        counts = Counter(score["status"][part] for score in scores)
        parts[part] = {
            "mean": sum(values) / len(values) if values else None,
            "coverage": len(values) / len(scores) if scores else None,
            "statuses": dict(sorted(counts.items())),
        }
    return parts


def columns(scores: Scores, parts: Sequence[str] = PARTS) -> NDArray[np.float64]:
    """(B, P) values of the parts, NaN where the truth is missing: for per-part normalisation."""
    return np.array(
        [[np.nan if score[part] is None else score[part] for part in parts] for score in scores],
        np.float64,
    ).reshape(len(scores), len(parts))


def success(scores: Scores) -> NDArray[np.float64]:
    """(B,) answer part, NaN without truth: its mean is the success rate of a question or domain.

    `overall` is no measure of success across sources: how many records of a domain have
    annotated regions would move its mean, and with it the weight of the domain.
    """
    return columns(scores, ["answer"])[:, 0]
