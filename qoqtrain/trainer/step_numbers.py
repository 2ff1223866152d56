"""The numbers of a step's rollouts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from qoqtrain.trainer.scoring import Scored


def describe(scored: Scored) -> dict[str, Any]:
    """The numbers of a step's rollouts, over all ranks.

    `answer` is the mean answer part (F1 of the label sets, text similarity of open answers).
    """
    everyone = scored.everyone
    by_domain: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in everyone:
        by_domain[row["domain"]].append(row)
    answered = [row["answer"] for row in everyone if row["answer"] is not None]
    report = scored.report
    return {
        "reward": _mean([row["reward"] for row in everyone]),
        "answer": _mean(answered),
        "domains": {
            domain: {
                "reward": _mean([row["reward"] for row in held]),
                "answer": _mean([row["answer"] for row in held if row["answer"] is not None]),
                "rollouts": len(held),
            }
            for domain, held in sorted(by_domain.items())
        },
        "ess": report["ess"],
        "response_tokens": _mean([row["tokens"] for row in everyone]),
        "truncated": _mean([float(row["truncated"]) for row in everyone]),
        "drpo": {
            name: report[name]
            for name in ("n_questions", "n_degenerate_groups", "alpha", "n_clipped", "batch_std")
        },
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
