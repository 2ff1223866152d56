"""Labels that are likely wrong: questions that a probe, fitted on other patients, answers otherwise
with confidence.

Confident learning (Northcutt, Jiang and Chuang, JAIR 2021), as the package cleanlab has it: the
optional extra `labels`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.errors import UsageError
from qoqdata.side_table import read_findings_table
from qoqdata.statistics.prior import answer_matrix
from qoqdata.statistics.probe.table import scored_tasks
from qoqdata.verdicts import dropped

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset
    from qoqdata.layout import Layout
    from qoqdata.progress import ProgressCallback

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


def find_label_errors(dataset: Dataset, limit: int, progress: ProgressCallback) -> pl.DataFrame:
    """Training questions with one answer of the task's options whose answer is likely wrong;
    columns of LABEL_ERRORS, the surest first within a source and task.

    At most `limit` questions of a source and task. Tasks with an answer of fewer than ten questions
    are scored without those. Raises UsageError without cleanlab, and as the stream of the data
    set.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ModuleNotFoundError as error:
        fix = "pip install 'qoqdata[labels]'"
        raise UsageError("needs cleanlab", where="--label-errors", fix=fix) from error
    # What such a verdict dropped is not asked about again, and stays found.
    lost = dropped(dataset.layout, "rule").filter(rule=LABEL_ERROR)
    parts = [read_label_errors(dataset.layout).join(lost, on="id", how="semi")]
    for questions, scores in scored_tasks(dataset, limit, progress, kind="single"):
        present = answer_matrix(questions, several=False)
        common = np.flatnonzero(present.sum(axis=0) >= _LEAST)
        rows = np.flatnonzero(present[:, common].any(axis=1))
        if len(common) < 2 or not len(rows):
            continue
        labels = present[np.ix_(rows, common)].argmax(axis=1)
        shares = probabilities(scores[np.ix_(rows, common)])
        wrong = find_label_issues(
            labels, shares, return_indices_ranked_by="self_confidence", n_jobs=1
        )
        options = np.array(sorted({o for row in questions["options"] for o in row}))[common]
        likelier = shares[wrong].argmax(axis=1)
        parts.append(
            questions[rows[wrong]]
            .select("id", "source", "task", "split", "answer")
            .with_columns(
                likelier=pl.Series(options[likelier].tolist(), dtype=pl.String),
                confidence=pl.Series(shares[wrong, labels[wrong]], dtype=pl.Float64),
                likelier_confidence=pl.Series(shares[wrong, likelier], dtype=pl.Float64),
            )
        )
    return pl.concat(parts)


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
