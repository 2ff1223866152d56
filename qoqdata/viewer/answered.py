"""What a policy answered to a record: its rollouts with the parts of their reward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from qoqdata.errors import BadTable
from qoqdata.statistics.rollouts import read_rollouts

#: Parts of a reward, and all columns that are shown where a table has them.
PARTS = ("answer", "grounding", "format", "length")
_SHOWN = (
    "id",
    "step",
    "policy",
    "rollout",
    "response",
    "prediction",
    "reward",
    "overall",
    "advantage",
)
#: Rollouts of a record that are shown, the last ones first.
MOST = 64


@dataclass(frozen=True)
class ShownRollout:
    """`parts` are those of the reward that were scored; None is what the table does not say.
    `advantage` is the weight of the rollout in the loss."""

    step: int | None
    policy: str | None
    reward: float | None
    advantage: float | None
    prediction: str | None
    response: str | None
    parts: list[tuple[str, float]]


def read_answered(path: Path) -> pl.DataFrame:
    """The rollouts of a file or folder, columns that are shown; raises BadTable for none."""
    table = read_rollouts(path)
    if "id" not in table.columns:
        raise BadTable("lacks the column 'id'", where=str(path), fix="rollouts name their record")
    return table.select(name for name in (*_SHOWN, *PARTS) if name in table.columns)


def shown_rollouts(rollouts: pl.DataFrame | None, id_: str) -> list[ShownRollout]:
    """The rollouts of a record, those of the last step first."""
    if rollouts is None:
        return []
    own = rollouts.filter(pl.col("id") == id_)
    order = [name for name in ("step", "rollout") if name in own.columns]
    descending = [name == "step" for name in order]
    own = own.sort(order, descending=descending) if order else own
    return [_shown(row) for row in own.head(MOST).to_dicts()]


def _shown(row: Mapping[str, Any]) -> ShownRollout:
    reward = row.get("overall")
    return ShownRollout(
        step=row.get("step"),
        policy=row.get("policy"),
        reward=row.get("reward") if reward is None else reward,
        advantage=row.get("advantage"),
        prediction=row.get("prediction"),
        response=row.get("response"),
        parts=[(part, row[part]) for part in PARTS if row.get(part) is not None],
    )
