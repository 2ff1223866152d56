"""What became of one question: the row from which every figure is counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

import polars as pl

from qoqdata.atomic import replacing
from qoqdata.contract.vocabulary import TaskKind
from qoqdata.errors import BadTable, MissingFile

#: ok             an answer of the asked kind was read, right or wrong
#: missing        the policy gave no response
#: no_answer      no closed box where the answer belongs
#: no_boxes       boxes were asked, and none is named
#: unparsable     something is there and cannot be read
#: not_an_option  an answer that names no option
#: several        several labels where one is asked
Status = Literal["ok", "missing", "no_answer", "no_boxes", "unparsable", "not_an_option", "several"]

#: Responses from which no answer of the asked kind could be read.
UNPARSABLE: tuple[Status, ...] = ("no_answer", "no_boxes", "unparsable", "not_an_option")


@dataclass(frozen=True)
class QuestionOutcome:
    """One question with its outcome; None where a figure does not apply.

    truth, labels  right labels, and those that the response names, in the source's spelling. What
                   the source marks as uncertain is right only where its answer lists it
    correct        the response names the right labels and no other (open: the same words)
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
    iou: float | None
    matched: float | None
    token_f1: float | None
    rouge_l: float | None
    scores: tuple[float, ...] | None


_LISTS = {"options": pl.String, "truth": pl.String, "labels": pl.String, "scores": pl.Float64}
_NUMBERS = dict.fromkeys(("iou", "matched", "token_f1", "rouge_l"), pl.Float64)
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    **{field.name: pl.String for field in fields(QuestionOutcome)},
    **{name: pl.List(kind) for name, kind in _LISTS.items()},
    **_NUMBERS,
    "age": pl.Int64,
    "correct": pl.Boolean,
}


def write_outcomes(path: Path, outcomes: Sequence[QuestionOutcome]) -> None:
    """Write one Parquet row a question, columns as in `Outcome`."""
    rows = (asdict(outcome) for outcome in outcomes)
    with replacing(path) as draft:
        pl.DataFrame(list(rows), schema=SCHEMA).write_parquet(draft, compression="zstd")


def read_outcomes(path: Path) -> list[QuestionOutcome]:
    """The rows of `write_outcomes`. Raises MissingFile and BadTable."""
    if not path.is_file():
        raise MissingFile("there is no such file", where=str(path), fix="evaluate with --out")
    try:
        table = pl.read_parquet(path, columns=list(SCHEMA), glob=False).cast(SCHEMA)  # type: ignore[arg-type]
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"cannot be read as outcomes: {reason}", where=str(path)) from error
    return [_outcome(row) for row in table.iter_rows(named=True)]


def _outcome(row: dict) -> QuestionOutcome:
    lists = {name: None if row[name] is None else tuple(row[name]) for name in _LISTS}
    return QuestionOutcome(**{**row, **lists})


def statuses(outcomes: Iterable[QuestionOutcome]) -> dict[str, int]:
    """Count of each status that occurs, sorted by name."""
    counts: dict[str, int] = {}
    for outcome in outcomes:
        counts[outcome.status] = counts.get(outcome.status, 0) + 1
    return dict(sorted(counts.items()))
