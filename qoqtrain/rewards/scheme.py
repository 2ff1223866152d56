"""What a reward is made of: its parts, its choices as data, and the named sets of choices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

from qoqdata.errors import UsageError
from qoqtrain.rewards.text import MEASURES
from qoqtrain.rewards.vocabulary import synonym_classes

PARTS = ("answer", "grounding", "format", "length")

GroundingRule = Literal["matched", "union", "best"]
FormatRule = Literal["graded", "binary"]

#: ok             scored
#: missing_truth  there is nothing to score against: the value is None and the weight is shared out
#: no_answer      no closed box where the answer belongs
#: no_boxes       no list of objects
#: unparsable     something is there and cannot be read
#: not_an_option  an answer that is none of the options, where one of them is asked
#: wrong_unit     a quantity in another unit than the one asked
#: truncated      generation stopped at the token limit
Status = Literal[
    "ok",
    "missing_truth",
    "no_answer",
    "no_boxes",
    "unparsable",
    "not_an_option",
    "wrong_unit",
    "truncated",
]


class Part(NamedTuple):
    """`value` in 0 to 1, None only with missing truth; `reason` is given where not plainly ok."""

    value: float | None
    status: Status = "ok"
    reason: str | None = None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Scheme:
    """Weights and rules of a reward. Raises UsageError for a value that makes no sense.

    weights         answer, grounding, format, length; only their ratios matter
    gate            the other parts count in the measure of the answer: of a wrong one nothing is
                    paid, whatever its form. Without an answer's truth the boxes are the answer
    grounding_rule  "matched", "union" or "best" (see `matching`)
    labelled_boxes  boxes meet only regions of their own label
    inclusive_boxes corners name the first and last pixel instead of edges
    format_rule     "graded" or "binary" (see `form`)
    think_share     share of the format part that the layout of the thinking decides; 0 for prompts
                    that ask for none
    min_precision   an answer of which less is right scores 0
    text_measure    similarity of open answers: "rouge_l", "token_f1" or "exact"
    full_words      words of reasoning that earn the whole length part
    overlong_words  words from which on the length part falls again
    synonyms        alias -> label
    """

    weights: tuple[float, float, float, float] = (0.5, 0.3, 0.1, 0.1)
    gate: bool = False
    grounding_rule: GroundingRule = "matched"
    labelled_boxes: bool = False
    inclusive_boxes: bool = False
    format_rule: FormatRule = "graded"
    think_share: float = 0.5
    min_precision: float = 0.25
    text_measure: str = "rouge_l"
    full_words: int = 80
    overlong_words: int = 2000
    synonyms: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weights = self.weights
        if isinstance(weights, Mapping):
            if unknown := sorted(weights.keys() - set(PARTS)):
                raise _refuse("weights", unknown, f"the parts are {', '.join(PARTS)}")
            weights = tuple(weights.get(part, 0.0) for part in PARTS)
            object.__setattr__(self, "weights", weights)
        numbers = isinstance(weights, tuple | list) and all(map(_is_number, weights))
        if not numbers or len(weights) != len(PARTS) or not all(0 <= w < math.inf for w in weights):
            raise _refuse("weights", weights, "four numbers of 0 or more")
        if not sum(weights):
            raise _refuse("weights", weights, "give one part a weight")
        for name, choices in (
            ("grounding_rule", get_args(GroundingRule)),
            ("format_rule", get_args(FormatRule)),
            ("text_measure", MEASURES),
        ):
            if (value := getattr(self, name)) not in choices:
                raise _refuse(name, value, f"choose one of {', '.join(choices)}")
        for name in ("gate", "labelled_boxes", "inclusive_boxes"):
            if not isinstance(value := getattr(self, name), bool):
                raise _refuse(name, value, "true or false")
        for name in ("think_share", "min_precision"):
            if not (_is_number(value := getattr(self, name)) and 0 <= value <= 1):
                raise _refuse(name, value, "0 to 1")
        for name in ("full_words", "overlong_words"):
            if not (_is_number(value := getattr(self, name)) and value >= 1):
                raise _refuse(name, value, "1 or more")

    @cached_property
    def classes(self) -> dict[str, str]:
        """The synonyms as normal forms, alias -> meaning."""
        return synonym_classes(self.synonyms)


#: What training and `score` use where nothing is said.
DEFAULT_PRESET = "gated"

PRESETS: dict[str, Scheme] = {
    # Pays for answers alone: boxes and form only add to one that is right, length to none.
    "gated": Scheme(weights=(0.6, 0.3, 0.1, 0.0), gate=True),
    # Weights of the code of QoQ-Med (May 2025); the parts of a sum, so form pays without an answer.
    "qoq_med_code": Scheme(),
    # What the paper says (arXiv 2506.00711, section 3.4): best box, binary format, no length.
    "paper": Scheme(weights=(0.6, 0.2, 0.2, 0.0), grounding_rule="best", format_rule="binary"),
    # Weights of mirl, for single samples and as its training scripts are wired.
    "mirl": Scheme(weights=(0.6, 0.2, 0.1, 0.1)),
    "mirl_batch": Scheme(weights=(0.5, 0.3, 0.1, 0.0)),
    "accuracy": Scheme(weights=(1.0, 0.0, 0.0, 0.0)),
}


def scheme_of(preset: str, **changes: Any) -> Scheme:
    """The named preset with changes to its fields; `weights` may be {part: weight}, others 0.

    Raises UsageError for an unknown preset, field or value.
    """
    if preset not in PRESETS:
        raise UsageError(
            f"there is no reward preset {preset!r}", fix=f"choose one of {', '.join(PRESETS)}"
        )
    names = {setting.name for setting in fields(Scheme)}
    if unknown := sorted(changes.keys() - names):
        raise UsageError(
            f"unknown reward settings: {', '.join(unknown)}",
            fix=f"the settings are {', '.join(sorted(names))}",
        )
    return replace(PRESETS[preset], **changes)


def _refuse(name: str, value: object, fix: str) -> UsageError:
    return UsageError(f"{name}={value!r} is not a valid reward setting", where=name, fix=fix)
