"""What is known of each question's success, and whether asking it again would tell anything.

A group of n rollouts teaches only where they differ. With a success rate p, taken as that of
independent right or wrong answers, that has the chance 1 - p^n - (1 - p)^n.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Where neither the question nor its domain is known.
UNKNOWN = 0.5


def chance_of_difference(rate: float, n: int) -> float:
    """The chance that `n` answers, each right at `rate`, are not all alike."""
    return 1.0 - rate**n - (1.0 - rate) ** n


@dataclass(eq=False)
class SuccessTable:
    """Success of the questions asked so far: `counts` (sum of success, rollouts) by id, and
    `priors` the success rate of each domain by the statistics, which counts for `strength`
    rollouts.

    All ranks add the same rollouts in the same order, so theirs are equal.
    """

    priors: Mapping[str, float]
    strength: float
    counts: dict[str, tuple[float, int]] = field(default_factory=dict)

    def rate(self, question: str, domain: str) -> float:
        """The success rate of a question, between what was seen and its domain's."""
        total, n = self.counts.get(question, (0.0, 0))
        prior = self.priors.get(domain, UNKNOWN)
        return (total + self.strength * prior) / (n + self.strength)

    def add(self, rollouts: Iterable[tuple[str, float]]) -> None:
        """Count the success of rollouts, (question, success) each.

        The policy changes, so what was seen before counts half in each new visit of a question.
        """
        fresh: dict[str, tuple[float, int]] = {}
        for question, success in rollouts:
            total, n = fresh.get(question, (0.0, 0))
            fresh[question] = total + success, n + 1
        for question, (total, n) in fresh.items():
            before, count = self.counts.get(question, (0.0, 0))
            kept = count // 2
            mean = before / count if count else 0.0
            self.counts[question] = total + mean * kept, n + kept

    def state_dict(self) -> dict[str, Any]:
        """As JSON; two numbers a question that was asked."""
        return {"counts": {name: list(pair) for name, pair in sorted(self.counts.items())}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.counts = {name: (float(s), int(n)) for name, (s, n) in state["counts"].items()}
