"""Labels that are likely wrong: questions that a probe, fitted to the training questions of other
patients, answers otherwise with confidence.

Confident learning (Northcutt, Jiang and Chuang, JAIR 2021), as the package cleanlab has it: the
optional extra `labels`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.errors import UsageError
from qoqdata.side_table import read_findings_table
from qoqdata.verdicts import dropped

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset
    from qoqdata.layout import Layout
    from qoqdata.statistics.probe.table import Probed

#: A row a question whose answer is likely wrong: what it should be, and how sure the probe is of
#: that and of the answer given, 0 to 1.
LABEL_ERRORS = {
    "id": pl.String,
    "source": pl.String,
    "task": pl.String,
    "split": pl.String,
    "answer": pl.String,
    "likelier": pl.String,
    "confidence": pl.Float64,
    "likelier_confidence": pl.Float64,
}
#: Of verdicts on such records, where a curation recipe drops them.
LABEL_ERROR = "label_error"
#: Of each answer at least so many questions, of different patients, or nothing is said of it.
_LEAST = 10


def require_cleanlab() -> None:
    """Raise UsageError where the package is missing, before any work."""
    try:
        import cleanlab.filter  # noqa: F401
    except ModuleNotFoundError as error:
        fix = "pip install 'qoqdata[labels]'"
        raise UsageError("needs cleanlab", where="--label-errors", fix=fix) from error


def found_before(dataset: Dataset) -> pl.DataFrame:
    """What was found before and is dropped since, so that it is asked about no more: it stays
    found. Columns of LABEL_ERRORS."""
    lost = dropped(dataset.layout, "rule").filter(rule=LABEL_ERROR)
    return read_label_errors(dataset.layout).join(lost, on="id", how="semi")


def find_label_errors(train: Probed, later: Sequence[Probed]) -> pl.DataFrame:
    """Questions with one answer of the task's options whose answer is likely wrong; columns of
    LABEL_ERRORS, train first and the surest first within a split.

    How sure the probe is where an answer is right is taken from train; answers that fewer than ten
    training questions have are left out. Tasks with several right options are not asked about.
    """
    found = pl.DataFrame(schema=LABEL_ERRORS)
    common = np.flatnonzero(train.present.sum(axis=0) >= _LEAST)
    if train.questions["kind"][0] != "single" or len(common) < 2:
        return found
    parts = [_answered(train, common)]
    for split in later:
        parts.append(_answered(split, common))
    labels, shares = parts[0].labels, parts[0].shares
    wrong = [_issues(labels, shares)]
    for part in parts[1:]:
        both = np.append(labels, part.labels), np.concatenate([shares, part.shares])
        issues = _issues(*both)
        wrong.append(issues[issues >= len(labels)] - len(labels))
    options = np.array(train.options)[common]
    rows = [part.rows(issues, options) for part, issues in zip(parts, wrong, strict=True)]
    return pl.concat([found, *rows])


class _Answered(NamedTuple):
    """Questions with one of the common answers: the place of the answer, and a share an answer."""

    questions: pl.DataFrame
    labels: NDArray[np.intp]
    shares: NDArray[np.float64]

    def rows(self, wrong: NDArray[np.intp], options: NDArray[np.str_]) -> pl.DataFrame:
        likelier = self.shares[wrong].argmax(axis=1)
        confidence = self.shares[wrong, self.labels[wrong]]
        return (
            self.questions[wrong]
            .select("id", "source", "task", "split", "answer")
            .with_columns(
                likelier=pl.Series(options[likelier].tolist(), dtype=pl.String),
                confidence=pl.Series(confidence, dtype=pl.Float64),
                likelier_confidence=pl.Series(self.shares[wrong, likelier], dtype=pl.Float64),
            )
        )


def _answered(probed: Probed, common: NDArray[np.intp]) -> _Answered:
    rows = np.flatnonzero(probed.present[:, common].any(axis=1))
    labels = probed.present[np.ix_(rows, common)].argmax(axis=1)
    shares = probabilities(probed.scores[np.ix_(rows, common)])
    return _Answered(probed.questions[rows], labels, shares)


def _issues(labels: NDArray[np.intp], shares: NDArray[np.float64]) -> NDArray[np.intp]:
    """Places of labels that are likely wrong, the surest first."""
    from cleanlab.filter import find_label_issues

    found = find_label_issues(labels, shares, return_indices_ranked_by="self_confidence", n_jobs=1)
    return np.asarray(found, np.intp)


def probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores (n, options) of a regression on 0 and 1 as shares of one, none of them 0."""
    positive = np.clip(scores, 1e-3, None)
    return np.asarray(positive / positive.sum(axis=1, keepdims=True), np.float64)


def read_label_errors(layout: Layout) -> pl.DataFrame:
    """The table that the last audit with label errors left; empty without one."""
    path: Path = layout.label_errors
    if not path.is_file():
        return pl.DataFrame(schema=LABEL_ERRORS)
    return read_findings_table(path, LABEL_ERRORS, fix="run `qoqdata audit --label-errors` again")
