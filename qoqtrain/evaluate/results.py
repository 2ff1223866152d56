"""What an evaluation yields, as plain data: a row for each question, and the tree of figures.

Figures are 0 to 1, but for kappa, which may be below 0, and errors, which are in a unit. None where
undefined.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from qoqdata.contract.vocabulary import TaskKind

#: ok             an answer of the asked kind was read, right or wrong
#: missing        the policy gave no response
#: no_answer      no closed box where the answer belongs
#: no_boxes       boxes were asked, and none is named
#: unparsable     something is there and cannot be read
#: not_an_option  an answer that names no option
#: wrong_unit     a quantity in another unit than the one asked
#: several        several labels where one is asked
Status = Literal[
    "ok",
    "missing",
    "no_answer",
    "no_boxes",
    "unparsable",
    "not_an_option",
    "wrong_unit",
    "several",
]

#: Responses from which no answer of the asked kind could be read.
UNPARSABLE: tuple[Status, ...] = ("no_answer", "no_boxes", "unparsable", "not_an_option")


@dataclass(frozen=True)
class QuestionOutcome:
    """One question with its outcome; None where a figure does not apply.

    truth, labels  right labels, and those that the response names, in the source's spelling. What
                   the source marks as uncertain is right only where its answer lists it
    correct        the response names the right labels and no other (open: the same words; number:
                   a value within the tolerance)
    credit         of a number, 0 to 1: as `correct`, and of an ordinal one less with each place
    value, number  the right number and the one that was read, in `unit`, a UCUM code; of an ordinal
                   question they are places of options and the unit is None
    error          distance of the two. An ordinal answer that was not read is as far off as one can
                   be; a quantity that was not read has none
    iou, matched   0 to 1, None without annotated regions: IoU of all boxes with all regions, and
                   2 sum IoU / (claimed + annotated) of the best one-to-one matching
    token_f1, rouge_l   similarity of open answers, 0 to 1
    scores         one an option, in the order of `options`
    """

    id: str
    source: str
    domain: str
    task: str
    kind: TaskKind
    patient: str | None
    sex: str | None
    age: int | None
    options: tuple[str, ...] | None
    truth: tuple[str, ...] | None
    labels: tuple[str, ...] | None
    prediction: str | None
    status: Status
    reason: str | None
    correct: bool | None
    credit: float | None
    value: float | None
    number: float | None
    unit: str | None
    error: float | None
    iou: float | None
    matched: float | None
    token_f1: float | None
    rouge_l: float | None
    scores: tuple[float, ...] | None


def statuses(outcomes: Iterable[QuestionOutcome]) -> dict[str, int]:
    """Count of each status that occurs, sorted by name."""
    counts: dict[str, int] = {}
    for outcome in outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    return dict(sorted(counts.items()))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the bounds of its 95 % interval; None where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None


Estimates = dict[str, Estimate]


@dataclass(frozen=True)
class AnswerCounts:
    """What the figures rest on.

    records     all records, which are the denominator of every share
    patients    named patients and records without one
    missing     records without prediction, scored as wrong
    unparsable  share of responses that give no answer of the asked kind, scored as wrong too
    statuses    number of records by status (`outcome.Status`); they add up to `records`
    regions     records with annotated regions, on which IoU rests
    scored      records with scores for AUROC
    """

    records: int
    patients: int
    missing: int
    unparsable: float | None
    statuses: dict[str, int]
    regions: int
    scored: int

    @property
    def mostly_unparsable(self) -> bool:
        """Whether more than half of the responses are no answers, so that the figures tell how they
        are written and not what they say."""
        return self.unparsable is not None and self.unparsable > 0.5


@dataclass(frozen=True)
class ClassResult:
    """One class of a task: records where it is true, and answers that name it."""

    label: str
    support: int
    answered: int
    precision: float | None
    recall: float | None
    specificity: float | None
    f1: float | None
    auroc: float | None


@dataclass(frozen=True)
class NumberResult:
    """Errors of a task of numbers.

    unit     UCUM code of the error, None for bare numbers, or "places" of ordinal options
    answers  questions that the error rests on: those of which a number was read, and of an ordinal
             task all
    mean_absolute_error   None where the questions of the task are in several units
    """

    unit: str | None
    answers: int
    mean_absolute_error: Estimate


@dataclass(frozen=True)
class TaskResult:
    """One task; `confusion`: true class by answer, last column no usable answer (single only).

    `chance` is the accuracy of drawing one of the options of each question, None without options
    or where several may apply.
    """

    task: str
    kind: TaskKind
    counts: AnswerCounts
    metrics: Estimates
    chance: float | None
    number: NumberResult | None
    classes: tuple[ClassResult, ...]
    confusion: tuple[tuple[int, ...], ...] | None


@dataclass(frozen=True)
class Group:
    """People of one sex or age band."""

    name: str
    records: int
    patients: int
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class DemographicGroups:
    """Groups of one attribute.

    gaps      largest minus smallest value over the groups where the figure is defined
    unknown   records where the attribute is not recorded; they are in no group
    sources   sources that have records of every group: the values rest on these alone, so that a
              gap is no difference between sources
    """

    groups: tuple[Group, ...]
    gaps: dict[str, float | None]
    unknown: int
    sources: tuple[str, ...]


@dataclass(frozen=True)
class SourceResult:
    source: str
    counts: AnswerCounts
    metrics: Estimates
    demographics: dict[str, DemographicGroups]
    tasks: tuple[TaskResult, ...]


@dataclass(frozen=True)
class DomainResult:
    domain: str
    counts: AnswerCounts
    metrics: Estimates
    sources: tuple[SourceResult, ...]


@dataclass(frozen=True)
class Evaluation:
    """`metrics`: mean over domains; `over_sources`: mean over sources; `rule`: how it is averaged.

    `bootstrap` replicates from `seed` made the intervals.
    """

    rule: str
    bootstrap: int
    seed: int
    counts: AnswerCounts
    metrics: Estimates
    over_sources: Estimates
    demographics: dict[str, DemographicGroups]
    domains: tuple[DomainResult, ...]
