"""The difficulty table of the probe: each question is answered by a fit that has not seen its
patient."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.errors import UsageError
from qoqdata.progress import ProgressCallback, silent
from qoqdata.statistics.difficulty import PROBE, from_estimates, write_difficulty
from qoqdata.statistics.prior import answer_matrix
from qoqdata.statistics.probe import LIMIT, SCORER
from qoqdata.statistics.probe.features import Features, of_record
from qoqdata.statistics.probe.ridge import fit
from qoqdata.statistics.probe.sample import closed_questions

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset

FOLDS = 5

_COLUMNS = ("id", "images", "image_info", "ecg", "context")
_PIXELS = 128 * 128


def write_probe(
    dataset: Dataset, *, limit: int = LIMIT, progress: ProgressCallback = silent
) -> tuple[pl.DataFrame, Path, list[str]]:
    """Write what `probe_difficulty` gives; returns its table, the path and the tasks left out.

    Raises UsageError when no question can be probed.
    """
    table, left_out = probe_difficulty(dataset, limit=limit, progress=progress)
    if not table.height:
        reason = f": too few patients in {'; '.join(left_out)}" if left_out else ""
        fix = "use --prior, or build more patients"
        raise UsageError(f"no question can be probed{reason}", where=dataset.where, fix=fix)
    return table, write_difficulty(dataset.layout, table), left_out


def probe_difficulty(
    dataset: Dataset, *, limit: int = LIMIT, progress: ProgressCallback = silent
) -> tuple[pl.DataFrame, list[str]]:
    """Rows of the difficulty table for training questions with options, and the tasks left out.

    A choice among options of its own is not probed: no other question has the same classes.
    At most `limit` questions of a source and task are probed, those with the lowest hashes of
    their ids. Folds are whole patients, or studies where no patient is known. A task whose
    questions all fall into one fold is left out. `progress` hears of records read and their total.
    Raises as the stream of the data set.
    """
    parts, left_out = [], []
    for questions, features in _tasks(dataset, limit, progress, ("train",)):
        single = questions["kind"][0] != "multi"
        present = answer_matrix(questions, several=not single)
        scores = out_of_fold(features, present, questions["group"].to_list())
        if scores is None:
            left_out.append(f"{questions['source'][0]}, {questions['task'][0]}")
            continue
        rates = rewards(scores, present, single=single)
        parts.append(pl.DataFrame({"id": questions["id"], "success_rate": rates}))
    return from_estimates(parts, policy=PROBE, scorer=SCORER), left_out


@dataclass(frozen=True, eq=False)
class Probed:
    """Questions of a source and task of one split, what is right and what the probe says.

    `present` and `scores` are bool and float64 (questions, options), of the `options` that any
    question of the task offers, sorted.
    """

    questions: pl.DataFrame
    options: tuple[str, ...]
    present: NDArray[np.bool_]
    scores: NDArray[np.float64]

    @property
    def single(self) -> bool:
        """Whether each question has one right option."""
        return self.questions["kind"][0] != "multi"


def probed_tasks(
    dataset: Dataset, limit: int, progress: ProgressCallback
) -> Iterator[tuple[Probed, list[Probed]]]:
    """Training questions of a source and task, scored by fits that have not seen their patient,
    with the questions of each later split, scored by a fit on train; of those tasks that a probe
    can be fitted to.

    At most `limit` questions of a source, task and split. `progress` hears of records read and
    their total.
    """
    for asked, features in _tasks(dataset, limit, progress, SPLITS):
        present = answer_matrix(asked, several=asked["kind"][0] == "multi")
        options = tuple(sorted({option for row in asked["options"] for option in row}))
        train = (asked["split"] == "train").to_numpy()
        groups = asked.filter(train)["group"].to_list()
        scores = out_of_fold(features[train], present[train], groups)
        if scores is None:
            continue
        later = []
        for split in SPLITS[1:]:
            mine = (asked["split"] == split).to_numpy()
            if mine.any():
                answers = fit(features[train], present[train].astype(np.float64))(features[mine])
                later.append(Probed(asked.filter(mine), options, present[mine], answers))
        yield Probed(asked.filter(train), options, present[train], scores), later


def _tasks(
    dataset: Dataset, limit: int, progress: ProgressCallback, splits: Sequence[str]
) -> Iterator[tuple[pl.DataFrame, Features]]:
    """Questions of a source and task, and their features, in the order of `splits`."""
    records = dataset.for_training()
    sample = pl.concat([closed_questions(records.filter(split=one), limit) for one in splits])
    count = 0
    for (source,), mine in sample.group_by(["source"], maintain_order=True):
        features: dict[str, Features] = {}
        for split in splits:
            ids = mine.filter(split=split)["id"].to_list()
            for name, values in record_features(dataset, str(source), split, ids):
                features[name] = values
                count += 1
                progress(count, sample.height)
        for _, questions in mine.group_by(["task", "kind"], maintain_order=True):
            yield questions, np.stack([features[name] for name in questions["id"]])


def out_of_fold(
    features: NDArray[np.floating[Any]], present: NDArray[np.bool_], groups: Sequence[str]
) -> NDArray[np.float64] | None:
    """Scores (n, options) of each question from a fit on the other folds, 1 for present, 0 for not.

    `features` (n, features), `present` (n, options) the right answers, `groups` whose questions
    stay together. None where all questions are of one fold, so that there is nothing to learn from.
    """
    folds = np.array([fold_of(group) for group in groups])
    numbers = np.unique(folds)
    if len(numbers) < 2:
        return None
    scores = np.empty(present.shape)
    for fold in numbers:
        out = folds == fold
        scores[out] = fit(features[~out], present[~out].astype(np.float64))(features[out])
    return scores


def fold_of(group: str) -> int:
    """The fold, 0 to FOLDS - 1, that a patient or study belongs to, by its hash."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") % FOLDS


def rewards(
    scores: NDArray[np.float64], present: NDArray[np.bool_], *, single: bool
) -> NDArray[np.float64]:
    """Label F1 of the answers, float64 (n,): the likeliest option where a `single` one is asked,
    else all above one half, and the likeliest if none is."""
    likeliest = np.zeros_like(present)
    likeliest[np.arange(len(scores)), scores.argmax(axis=1)] = True
    answer = likeliest if single else likeliest | (scores > 0.5)
    hits = (answer & present).sum(axis=1)
    f1: NDArray[np.float64] = 2 * hits / (answer.sum(axis=1) + present.sum(axis=1))
    return f1


def record_features(
    dataset: Dataset, source: str, split: str, ids: Sequence[str]
) -> Iterator[tuple[str, Features]]:
    """Id and features of each of some records of a source and split."""
    from qoqdata.stream.decode import Budget

    if not ids:
        return
    stream = dataset.stream(
        split,
        where=(pl.col("source") == source) & pl.col("id").is_in(list(ids)),
        columns=_COLUMNS,
        images="array",
        budget=Budget(min_pixels=28 * 28, max_pixels=_PIXELS, max_images=8),
        shuffle=False,
        epochs=1,
    )
    try:
        for record in stream:
            yield record["id"], of_record(record)
    finally:
        stream.close()
