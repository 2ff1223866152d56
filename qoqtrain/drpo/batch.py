"""One step's rollouts, checked and put into an order that depends only on what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qoqdata.errors import UsageError
from qoqtrain.drpo.settings import DRPOSettings

# Rewards are sums of float32 parts: this far outside the range, as a share of it, is rounding.
ROUNDING = 1e-6


@dataclass(frozen=True)
class RolloutBatch:
    """B valid rollouts of Q questions, question after question.

    `rows` (B,) the caller's row of each rollout; `rewards` (B,) float64 total reward; `success`
    (B,) in [0, 1], what success rates are means of: the reward mapped there from its range, or
    what the caller passed for it; `parts` (B, P) float64 rewards as passed; `kl` (B,) float64 or
    None; `starts`, `sizes` (Q,) where each question's rollouts begin and how many they are;
    `domains` (Q,) its domain; `arrival` (Q,) the questions in order of first row.

    Rollouts are sorted by reward within a question, questions by domain and then by their rewards:
    sums over a batch have the same bits for any order of the caller's rows and any question ids.
    """

    rows: NDArray[np.intp]
    rewards: NDArray[np.float64]
    success: NDArray[np.float64]
    parts: NDArray[np.float64]
    kl: NDArray[np.float64] | None
    starts: NDArray[np.intp]
    sizes: NDArray[np.intp]
    domains: tuple[str, ...]
    arrival: NDArray[np.intp]

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(Q,) sum of `values` (B,) over the rollouts of each question."""
        return np.add.reduceat(values, self.starts)

    def per_rollout(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B,) the value of each rollout's question, from `values` (Q,)."""
        return np.repeat(values, self.sizes)

    def questions_by_domain(self) -> dict[str, NDArray[np.intp]]:
        """Domain -> its questions (Q_d,) in the order of the batch; domains in sorted order."""
        names = np.array(self.domains)
        groups = np.split(np.arange(names.size), np.flatnonzero(names[1:] != names[:-1]) + 1)
        return {self.domains[questions[0]]: questions for questions in groups}


def batch_of(
    rewards: ArrayLike,
    questions: Sequence[Any] | NDArray[Any],
    domains: Sequence[Any] | NDArray[Any],
    *,
    settings: DRPOSettings,
    success: ArrayLike | None = None,
    kl: ArrayLike | None = None,
    valid: ArrayLike | None = None,
) -> RolloutBatch:
    """Check one step's columns and sort them into a RolloutBatch.

    `rewards` (B,) or (B, P); `questions` and `domains` (B,) labels, text or whole numbers (3 and
    "3" are the same); `success` (B,) in [0, 1], what success rates are means of, instead of the
    reward; `kl` (B,) divergence from the reference, summed over the tokens; `valid` (B,) bool,
    False for padding and rollouts that could not be scored, which are left out. Raises UsageError
    for columns of different length, a reward that is not finite or outside `reward_range`, a
    success outside [0, 1], a missing label, or a question in two domains.
    """
    parts = _numbers("rewards", rewards)
    if parts.ndim == 1:
        parts = parts[:, None]
    if parts.ndim != 2 or parts.shape[1] == 0:
        raise UsageError(f"has shape {parts.shape}", where="rewards", fix="pass (B,) or (B, parts)")
    count = len(parts)
    mask = np.ones(count, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
    divergence = None if kl is None else _numbers("kl", kl)
    successes = None if success is None else _numbers("success", success)
    ids, slugs = _column(questions), _column(domains)
    columns = {
        "questions": ids,
        "domains": slugs,
        "valid": mask,
        "success": successes,
        "kl": divergence,
    }
    for name, column in columns.items():
        if column is not None and column.shape != (count,):
            raise UsageError(
                f"has shape {column.shape} for {count} rewards",
                where=name,
                fix="pass one entry for each rollout",
            )
    rows = np.flatnonzero(mask)
    if not rows.size:
        raise UsageError("no valid rollout in the step", where="rewards")
    parts = parts[rows] + 0.0  # -0.0 becomes 0.0, so that equal rewards have equal bytes
    _require_finite("rewards", parts, rows)
    total, unit = _in_range(_total(parts, settings), rows, settings)
    if successes is not None:
        unit = _in_unit_range(successes[rows] + 0.0, rows)
    if divergence is not None:
        divergence = divergence[rows] + 0.0
        _require_finite("kl", divergence[:, None], rows)
    question = np.unique(_labels("questions", ids, rows), return_inverse=True)[1]
    return _sorted(rows, total, unit, parts, divergence, question, _labels("domains", slugs, rows))


def _sorted(
    rows: NDArray[np.intp],
    total: NDArray[np.float64],
    unit: NDArray[np.float64],
    parts: NDArray[np.float64],
    kl: NDArray[np.float64] | None,
    question: NDArray[np.intp],
    domain: NDArray[np.str_],
) -> RolloutBatch:
    content = np.column_stack([total, parts, unit] + ([] if kl is None else [kl]))
    by_question = np.lexsort((*content.T[::-1], question))
    starts = np.flatnonzero(np.diff(question[by_question], prepend=-1))
    sizes = np.diff(starts, append=rows.size)
    if two := _questions_in_two_domains(domain[by_question], starts, sizes):
        row = int(rows[by_question[starts[two[0]]]])
        raise UsageError(
            f"the question of rollout {row} belongs to two domains",
            where="domains",
            fix="give each question one domain",
        )
    content = content[by_question]
    slugs = domain[by_question[starts]].tolist()
    ends = (starts + sizes).tolist()
    keys = [
        (slugs[q], content[a:end].tobytes())
        for q, (a, end) in enumerate(zip(starts, ends, strict=True))
    ]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    arrival = np.argsort(np.minimum.reduceat(by_question, starts)[order])
    sizes, starts = sizes[order], starts[order]
    begins = np.cumsum(sizes) - sizes
    flat = by_question[np.arange(rows.size) + np.repeat(starts - begins, sizes)]
    return RolloutBatch(
        rows=rows[flat],
        rewards=total[flat],
        success=unit[flat],
        parts=parts[flat],
        kl=None if kl is None else kl[flat],
        starts=begins,
        sizes=sizes,
        domains=tuple(slugs[q] for q in order),
        arrival=arrival,
    )


def _questions_in_two_domains(
    domain: NDArray[np.str_], starts: NDArray[np.intp], sizes: NDArray[np.intp]
) -> list[int]:
    differs = domain != np.repeat(domain[starts], sizes)
    return np.flatnonzero(np.add.reduceat(differs.astype(int), starts)).tolist()


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError("holds something that is not a number", where=name) from error


def _require_finite(name: str, values: NDArray[np.float64], rows: NDArray[np.intp]) -> None:
    if (bad := ~np.isfinite(values).all(axis=1)).any():
        raise UsageError(
            f"rollout {int(rows[bad.argmax()])} has a value that is not finite",
            where=name,
            fix="mark rollouts that could not be scored with valid=False",
        )


def _total(parts: NDArray[np.float64], settings: DRPOSettings) -> NDArray[np.float64]:
    weights = settings.part_weights or (1.0,) * parts.shape[1]
    if len(weights) != parts.shape[1]:
        raise UsageError(
            f"has {parts.shape[1]} parts for {len(weights)} part_weights", where="rewards"
        )
    total = np.zeros(len(parts))
    for column, weight in zip(parts.T, weights, strict=True):
        total += weight * column
    return total


def _in_range(
    total: NDArray[np.float64], rows: NDArray[np.intp], settings: DRPOSettings
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rewards without what rounding put outside their range, and the same mapped to [0, 1]."""
    if settings.reward_range is None:
        return total, total
    low, high = settings.reward_range
    inside = np.clip(total, low, high)
    outside = np.abs(total - inside) > ROUNDING * (high - low)
    if outside.any():
        first = int(outside.argmax())
        raise UsageError(
            f"rollout {int(rows[first])} has reward {total[first]:.6g}, not in [{low:g}, {high:g}]",
            where="rewards",
            fix="set reward_range=(lo, hi) to the range of the reward",
        )
    return inside, np.clip((inside - low) / (high - low), 0.0, 1.0)


def _in_unit_range(success: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    _require_finite("success", success[:, None], rows)
    inside = np.clip(success, 0.0, 1.0)
    outside = np.abs(success - inside) > ROUNDING
    if outside.any():
        first = int(outside.argmax())
        raise UsageError(
            f"rollout {int(rows[first])} has success {success[first]:.6g}, not in [0, 1]",
            where="success",
            fix="pass the answer part of the reward, 0 wrong to 1 right",
        )
    return inside


def _column(values: Sequence[Any] | NDArray[Any]) -> NDArray[Any]:
    """Labels as an array, one object each; arrays, tensors and Series by their own conversion."""
    if hasattr(values, "__array__"):
        return np.asarray(values)
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def _labels(name: str, column: NDArray[Any], rows: NDArray[np.intp]) -> NDArray[np.str_]:
    """Labels as text; None, NaN and other floats are refused, for they name nothing."""
    labels = column[rows]
    if labels.dtype.kind in "iuU" and not (labels.dtype.kind == "U" and (labels == "").any()):
        return labels.astype(str)
    for row, label in zip(rows, labels, strict=True):
        if label is None or isinstance(label, float | np.floating) or str(label) == "":
            raise UsageError(
                f"rollout {int(row)} has no label ({label!r})",
                where=name,
                fix="pass text or whole numbers; mark padding with valid=False",
            )
    return np.array([str(label) for label in labels])
