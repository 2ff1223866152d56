"""What those score who see no image: one that always says the same, one that reads the question and
its context, one that knows the file's facts. A policy that does no better has learnt nothing from
images; a task on which they score high gives its answers away.

Each is a ridge regression, fitted on the patients of other folds, and scored by label F1, as the
probe is; quantities by whether they are within the tolerance, choices by whether they are right. A
task without a score says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.curation.audit.guesses import score_choices, score_quantities
from qoqdata.curation.burned_in.findings import FINDINGS
from qoqdata.dataset import Dataset
from qoqdata.side_table import read_findings_table
from qoqdata.statistics.prior import answer_matrix
from qoqdata.statistics.probe.features import Features, of_text
from qoqdata.statistics.probe.sample import sampled
from qoqdata.statistics.probe.table import out_of_fold, rewards

#: A row a source, task and split: how many questions were asked, the score of each answerer, and
#: the most frequent answer (of quantities the median, of choices the place). `unscored` says why
#: there are no scores, and is null where there are.
ANSWERERS = {
    "source": pl.String,
    "task": pl.String,
    "split": pl.String,
    "kind": pl.String,
    "questions": pl.Int64,
    "constant": pl.Float64,
    "text": pl.Float64,
    "facts": pl.Float64,
    "commonest": pl.String,
    "unscored": pl.String,
}
#: Why questions of a kind have no score, and those of patients who are all of one fold.
UNSCORED = {
    "open": "no score is defined of free text",
    "boxes": "no box can be told without the image",
}
ONE_FOLD = "too few patients"
_FACTS = (
    *("age", "sex", "context", "question"),
    *("image_info.list.element.width", "image_info.list.element.height"),
    *("image_info.list.element.original_width", "image_info.list.element.original_height"),
    *("image_info.list.element.view", "image_info.list.element.laterality"),
    *("image_info.list.element.spacing", "ecg.fs"),
    *("number.value", "number.tolerance"),
)


def score_answerers(dataset: Dataset, limit: int) -> pl.DataFrame:
    """Mean scores of the answerers on the kept questions, by source, task and split; columns of
    ANSWERERS, sorted.

    At most `limit` questions of a source, task and split are asked. Tasks that cannot be scored are
    there with the reason: free text, boxes, and those whose questions are all of one fold of
    patients, so that there is nothing to learn from.
    """
    kept = dataset.kept()
    questions = pl.concat(
        [sampled(part, limit) for (_,), part in kept.group_by(["split"], maintain_order=True)]
    ).sort("source", "task", "split", "id")
    facts = pl.DataFrame(dataset.files.leaves(["id", *_FACTS]))
    questions = questions.join(facts, on="id", maintain_order="left")
    questions = questions.join(_burned_in(dataset), on="id", how="left", maintain_order="left")
    rows: list[tuple[Any, ...]] = []
    for (source, task, kind), asked in questions.group_by(
        ["source", "task", "kind"], maintain_order=True
    ):
        scores = None if kind in UNSCORED else _scores(asked, str(kind))
        why = UNSCORED.get(str(kind), ONE_FOLD) if scores is None else None
        for (split,), part in asked.with_row_index("at").group_by(["split"], maintain_order=True):
            means: list[float | None] = [None, None, None]
            if scores is not None:
                at = part["at"].to_numpy()
                means = [None if of is None else float(of[at].mean()) for of in scores]
            common = None if why else _commonest(part, str(kind))
            rows.append((source, task, split, kind, part.height, *means, common, why))
    return pl.DataFrame(rows, schema=ANSWERERS, orient="row").sort("source", "task", "split")


def _burned_in(dataset: Dataset) -> pl.DataFrame:
    """By record what the last pass over the pixels saw written on them: `lines` of text, `markers`
    such as L and R, and the left and upper edge of the first, in pixels."""
    path = dataset.layout.burned_in_findings
    found = pl.DataFrame(schema=FINDINGS)
    if path.is_file():
        found = read_findings_table(path, FINDINGS, fix="run `qoqdata curate --burned-in` again")
    is_marker = pl.col("kind") == "marker"
    return found.group_by("id").agg(
        lines=(~is_marker).sum(),
        markers=is_marker.sum(),
        left=pl.col("x0").min(),
        top=pl.col("y0").min(),
    )


class _Scores(NamedTuple):
    """Of each question 0 to 1; None of an answerer that knows nothing of its kind."""

    constant: NDArray[np.float64]
    text: NDArray[np.float64]
    facts: NDArray[np.float64] | None


def _scores(asked: pl.DataFrame, kind: str) -> _Scores | None:
    """None where the questions are all of one fold."""
    groups = asked["group"].to_list()
    if kind == "choice":
        chosen = score_choices(asked["options"].to_list(), asked["answer"].to_list(), groups)
        return None if chosen is None else _Scores(*chosen, None)
    if _is_quantity(asked, kind):
        given = asked["number"].struct
        score = partial(
            score_quantities,
            values=given.field("value").to_numpy(),
            tolerances=given.field("tolerance").to_numpy(),
            groups=groups,
        )
    else:
        present = answer_matrix(asked, several=kind == "multi")
        score = partial(_score, present=present, groups=groups, single=kind != "multi")
    constant = score(np.zeros((asked.height, 1), np.float32))
    if constant is None:
        return None
    text, facts = score(_texts(asked)), score(file_facts(asked))
    assert text is not None and facts is not None
    return _Scores(constant, text, facts)


def _is_quantity(asked: pl.DataFrame, kind: str) -> bool:
    return kind == "number" and asked["options"][0] is None


def _score(
    features: Features, present: NDArray[np.bool_], groups: Sequence[str], single: bool
) -> NDArray[np.float64] | None:
    scores = out_of_fold(features, present, groups)
    return None if scores is None else rewards(scores, present, single=single)


def _commonest(part: pl.DataFrame, kind: str) -> str:
    if _is_quantity(part, kind):
        median = np.median(part["number"].struct.field("value").to_numpy())
        return f"{median:g}"
    answers = part["answer"]
    if kind == "choice":
        places = zip(part["options"].to_list(), answers, strict=True)
        answers = pl.Series("answer", [f"option {own.index(one) + 1}" for own, one in places])
    counts = answers.value_counts(sort=True).sort("count", "answer", descending=[True, False])
    return str(counts["answer"][0])


def _texts(asked: pl.DataFrame) -> Features:
    """Counts of hashed words of each question and its context."""
    texts = asked.select(
        text=pl.concat_str(pl.col("context").fill_null(""), "question", separator=" ")
    )
    return np.stack([of_text(text) for text in texts["text"]])


def file_facts(asked: pl.DataFrame) -> Features:
    """What is known of each question's files and person without opening them: sizes, number of
    images, spacing, views, sides, sampling rate, age, sex, and what is burned into the images."""
    info = pl.col("image_info")
    first = info.list.first()

    def size(name: str) -> pl.Expr:
        return first.struct.field(name).fill_null(0).cast(pl.Float32)

    numbers = asked.select(
        count=info.list.len().fill_null(0).cast(pl.Float32),
        width=size("width"),
        height=size("height"),
        across=size("original_width"),
        down=size("original_height"),
        shape=(size("original_width") / size("original_height")).fill_nan(0),
        spacing=first.struct.field("spacing").list.first().fill_null(0).cast(pl.Float32),
        rate=pl.col("ecg").struct.field("fs").fill_null(0).cast(pl.Float32),
        age=pl.col("age").fill_null(-1).cast(pl.Float32),
        **{name: pl.col(name).fill_null(-1).cast(pl.Float32) for name in _WRITTEN},
    )
    coded = asked.select(
        view=first.struct.field("view"),
        side=first.struct.field("laterality"),
        sex=pl.col("sex"),
        size=pl.concat_str(size("original_width"), size("original_height"), separator="x"),
    ).fill_null("none")
    kinds = [coded.select(name).to_dummies() for name in coded.columns]
    # Sizes are told apart as such too: a hospital's scanner is a size, and no larger or smaller.
    kinds = [table for table in kinds if 1 < table.width <= _KINDS_MOST]
    return pl.concat([numbers, *kinds], how="horizontal").to_numpy().astype(np.float32)


#: Of what is burned into images: that there is something, and where.
_WRITTEN = ("lines", "markers", "left", "top")
#: Kinds of one fact beyond which it is a number and no kind.
_KINDS_MOST = 64
