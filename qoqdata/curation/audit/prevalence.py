"""How often each label is right in a set, against the counts of a complete copy that its card has
from a publication: a mapping that is wrong throughout shows here where nothing else is beside it.

A label counts once a question that it is right in. What a set lacks of a complete copy leaves room:
the room that chance leaves shrinks to nothing as the copy gets complete (hypergeometric). Where
counts lie outside it, mappings that would explain them are tried: a label left out, or answered as
another one, labels in each other's places, one of several taken. Counts that none explains and that
a part of the copy can have are of a part that was not drawn by chance, and no fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import hypergeom

from qoqdata.contract.card import ExpectedLabels
from qoqdata.contract.vocabulary import ANSWER_JOIN
from qoqdata.dataset import Dataset

#: A row a source and task whose card has published counts. `found` and `published` count labels;
#: `most` is the label whose share differs most, with both shares. `verdict` is one of AGREES, FEW,
#: LIMITED and CHOSEN, or names the fault.
PREVALENCE = {
    "source": pl.String,
    "task": pl.String,
    "split": pl.String,
    "questions": pl.Int64,
    "found": pl.Int64,
    "published": pl.Int64,
    "most": pl.String,
    "share": pl.Float64,
    "share_published": pl.Float64,
    "verdict": pl.String,
}
AGREES = "agrees"
#: Of so few labels that all of them could be the commonest one.
FEW = "too few to tell"
#: Of sets that were built with a limit, whose units are the first and no sample.
LIMITED = "built with a limit"
CHOSEN = "a part not drawn by chance"
#: Verdicts that blame no mapping.
FAULTLESS = (AGREES, FEW, LIMITED, CHOSEN)

#: How unlikely counts are at most that chance does not explain, all labels together, and at least
#: those that a mapping does explain.
_UNLIKELY, _EXPLAINED = 1e-6, 1e-3
#: Ways to answer absent labels as others that are tried.
_MERGES_MOST = 4_096
#: The share of a copy from which on a class that it lacks was left out.
_WHOLE = 0.5

Counts = NDArray[np.int64]


def compare_prevalence(dataset: Dataset) -> pl.DataFrame:
    """The labels of all records of a data set, dropped ones too, against the counts of the cards;
    columns of PREVALENCE, sorted. Tasks without a question are left out."""
    light = dataset.metadata(["source", "task", "kind", "split", "answer"])
    rows = []
    for slug, card in sorted(dataset.cards.items()):
        for task, expected in sorted(card.expected.labels.items()):
            asked = light.filter(pl.col("source") == slug, pl.col("task") == task)
            if expected.split is not None:
                asked = asked.filter(pl.col("split") == expected.split)
            if asked.height:
                limited = dataset.manifest.sources[slug].limit is not None
                rows.append((slug, task, expected.split, *_compared(asked, expected, limited)))
    return pl.DataFrame(rows, schema=PREVALENCE, orient="row")


def unlikely_in_whole(dataset: Dataset) -> pl.DataFrame:
    """Of each source that is there in full the task whose labels lie farthest from what its card's
    published counts allow; rows of PREVALENCE.

    In full is a source with as many units as its card expects or, where it expects none, a task
    with as many questions as were published. There chance takes no part, so CHOSEN is told too.
    """
    units = {slug: entry.counts.units for slug, entry in dataset.manifest.sources.items()}

    def is_whole(row: Mapping[str, Any]) -> bool:
        expected = dataset.cards[row["source"]].expected
        if expected.units is not None:
            return expected.units == units[row["source"]]
        questions = expected.labels[row["task"]].questions or row["published"]
        return bool(row["questions"] == questions)

    found = compare_prevalence(dataset).filter(~pl.col("verdict").is_in([AGREES, FEW, LIMITED]))
    whole = [is_whole(row) for row in found.iter_rows(named=True)]
    distance = (pl.col("share") - pl.col("share_published")).abs()
    return (
        found.filter(pl.Series(whole, dtype=pl.Boolean))
        .sort("source", distance, "task", descending=[False, True, False])
        .unique("source", keep="first", maintain_order=True)
    )


def _compared(asked: pl.DataFrame, expected: ExpectedLabels, limited: bool) -> tuple[Any, ...]:
    several = asked["kind"][0] == "multi"
    answers = asked["answer"].str.split(ANSWER_JOIN).explode() if several else asked["answer"]
    found = dict(answers.value_counts().sort("answer").iter_rows())
    verdict = verdict_on(
        found,
        expected.counts,
        questions=asked.height,
        published_questions=expected.questions,
        limited=limited,
    )
    labels = [*expected.counts, *(label for label in found if label not in expected.counts)]
    here, there = (_of(counts, labels) for counts in (found, expected.counts))
    shares, published = here / max(here.sum(), 1), there / max(there.sum(), 1)
    most = int(np.abs(shares - published).argmax())
    return (
        *(asked.height, int(here.sum()), int(there.sum())),
        *(labels[most], float(shares[most]), float(published[most]), verdict),
    )


def verdict_on(
    found: Mapping[str, int],
    published: Mapping[str, int],
    *,
    questions: int,
    published_questions: int | None = None,
    limited: bool = False,
) -> str:
    """AGREES, FEW, LIMITED, CHOSEN or the fault of labels `found` so many times in `questions`.

    `published` counts those of a complete copy, which asks `published_questions`; None of tasks
    with one label a question. `limited`: the set holds the first units of its copy.
    """
    labels = [*published, *sorted(set(found) - set(published))]
    here, there = _of(found, labels), _of(published, labels)
    if limited and not (here[len(published) :] > 0).any():
        return LIMITED
    if published_questions and _one_of_several(here, there, questions, published_questions):
        return "one of several: each question has one label"
    if _fits(here, there, _UNLIKELY):
        one_answer = np.where(np.arange(len(there)) == there.argmax(), here.sum(), 0)
        return FEW if _fits(one_answer, there, _UNLIKELY) else AGREES
    for fault in _explanations(here, there, labels):
        return fault
    if (here <= there).all():
        return CHOSEN
    gap = here - there
    at = int(gap.argmax())
    return f"other counts: {labels[at]} {here[at]} times instead of {there[at]}"


def _of(counts: Mapping[str, int], labels: Sequence[str]) -> Counts:
    return np.array([counts.get(label, 0) for label in labels], np.int64)


def _fits(here: Counts, there: Counts, chance: float) -> bool:
    """Whether the smaller of two collections of labels can be a random part of the larger."""
    part, whole = (here, there) if here.sum() <= there.sum() else (there, here)
    spread = hypergeom(whole.sum(), whole, part.sum())
    each = chance / (2 * len(part))
    return bool(((spread.cdf(part) >= each) & (spread.sf(part - 1) >= each)).all())


def _one_of_several(here: Counts, there: Counts, questions: int, published: int) -> bool:
    """Whether all questions have one label where chance would have given some of them more."""
    if here.sum() != questions or there.sum() <= published:
        return False
    # At least so many of the published questions have several: none has more than all labels.
    several = (there.sum() / published - 1) / max(len(there) - 1, 1)
    return bool((1 - min(several, 1)) ** questions < _UNLIKELY)


def _explanations(here: Counts, there: Counts, labels: Sequence[str]) -> Iterator[str]:
    yield from _left_out(here, there, labels)
    yield from _merged(here, there, labels)
    yield from _in_other_places(here, there, labels)


def _left_out(here: Counts, there: Counts, labels: Sequence[str]) -> Iterator[str]:
    absent = (here == 0) & (there > 0)
    rest = np.where(absent, 0, there)
    whole = _WHOLE * rest.sum() <= here.sum() <= rest.sum()
    if absent.any() and rest.any() and whole and _fits(here, rest, _EXPLAINED):
        yield f"left out: {_named(labels, np.flatnonzero(absent))}"


def _merged(here: Counts, there: Counts, labels: Sequence[str]) -> Iterator[str]:
    """Absent labels that are answered as others, or by another name."""
    absent = np.flatnonzero((here == 0) & (there > 0)).tolist()
    into = np.flatnonzero(here > 0).tolist()
    possible = bool((here <= there).all())
    # A part with one label fits whatever was merged into it.
    if not absent or len(into) ** len(absent) > _MERGES_MOST or (possible and len(into) < 2):
        return
    for targets in product(into, repeat=len(absent)):
        moved = there.copy()
        moved[absent] = 0
        np.add.at(moved, list(targets), there[absent])
        if _fits(here, moved, _EXPLAINED):
            yield "; ".join(_renamed(absent, targets, there, labels))
            return


def _renamed(
    absent: Sequence[int], targets: Sequence[int], there: Counts, labels: Sequence[str]
) -> Iterator[str]:
    for target in dict.fromkeys(targets):
        ones = [one for one, to in zip(absent, targets, strict=True) if to == target]
        how = "merged" if there[target] or len(ones) > 1 else "renamed"
        yield f"{how}: {_named(labels, ones)} answered as {labels[target]}"


def _in_other_places(here: Counts, there: Counts, labels: Sequence[str]) -> Iterator[str]:
    """Labels that stand in each other's places: two of them, or more if it takes more."""
    for pair in combinations(range(len(labels)), 2):
        order = np.arange(len(labels))
        order[list(pair)] = pair[::-1]
        if _fits(here, there[order], _EXPLAINED):
            how = "inverted" if len(labels) == 2 else "swapped"
            yield f"{how}: {_named(labels, list(pair))}"
            return
    # Of hypergeometric counts: how likely each label's count is where another is meant.
    part, whole = int(here.sum()), int(there.sum())
    if part > whole:
        return
    chances = hypergeom(whole, there[None, :], part).logpmf(here[:, None])
    _, order = linear_sum_assignment(-np.clip(chances, -1e9, None))
    if _fits(here, there[order], _EXPLAINED):
        moved = np.flatnonzero(order != np.arange(len(order)))
        yield f"swapped: {_named(labels, moved)}"


def _named(labels: Sequence[str], places: Sequence[int] | NDArray[np.integer]) -> str:
    return ", ".join(labels[place] for place in places)
