"""What estimates of difficulty without a policy share."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.contract.vocabulary import ANSWER_JOIN

#: Of an estimate before `rows`: the question's id and its score in [0, 1].
SCORED = {"id": pl.String, "mean": pl.Float64}


def named(questions: pl.DataFrame) -> NDArray[np.bool_]:
    """Which options each `answer` names, (questions, options): of all that any question offers,
    sorted."""
    options = sorted({option for row in questions["options"] for option in row})
    place = {option: number for number, option in enumerate(options)}
    found = np.zeros((questions.height, len(options)), np.bool_)
    for row, answer in enumerate(questions["answer"]):
        found[row, [place[option] for option in answer.split(ANSWER_JOIN)]] = True
    return found


def rows(scored: list[pl.DataFrame], *, policy: str, scorer: str) -> pl.DataFrame:
    """Rows of the difficulty table by id; no rollout is behind them."""
    return (
        pl.concat([pl.DataFrame(schema=SCORED), *scored])
        .sort("id")
        .select(
            "id",
            rewards=pl.lit([], dtype=pl.List(pl.Float32)),
            mean="mean",
            n_rollouts=pl.lit(0, dtype=pl.Int32),
            policy=pl.lit(policy),
            scorer=pl.lit(scorer),
        )
    )
